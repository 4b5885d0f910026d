import type {
  FindTokenProjectsRequest,
  FindTokenProjectsResponse,
  ListLiveKeysRequest,
  ListLiveKeysResponse,
} from '@silo/protos/gen/silo/token/internal/v1/directory_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { Dependencies } from '../dependencies.ts';

/** Returns the live keys of accounts. */
export async function* listLiveKeys(
  { accountIds }: ListLiveKeysRequest,
  { signal }: Call,
  { keys, clock }: Pick<Dependencies, 'keys' | 'clock'>,
): AsyncIterable<ListLiveKeysResponse> {
  for await (const some of keys.liveOfAccounts(accountIds, clock.now(), signal)) {
    yield { keys: some.map(({ _id, ...key }) => ({ keyId: _id, ...key })) };
  }
}

/** Returns the projects to which these tokens belong or belonged. */
export async function findTokenProjects(
  { tokenHashes }: FindTokenProjectsRequest,
  { signal }: Call,
  { projectTokens }: Pick<Dependencies, 'projectTokens'>,
): Promise<FindTokenProjectsResponse> {
  const found = await projectTokens.projectsOf(tokenHashes, signal);
  return { tokens: found.map(({ _id, projectId }) => ({ tokenHash: _id, projectId })) };
}
