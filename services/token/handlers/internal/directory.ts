import type {
  ListLiveKeysRequest,
  ListLiveKeysResponse,
} from '@silo/protos/gen/silo/token/internal/v1/directory_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { Dependencies } from '../dependencies.ts';

/** Answers the live keys of accounts. */
export async function* listLiveKeys(
  { accountIds }: ListLiveKeysRequest,
  { signal }: Call,
  { keys, clock }: Pick<Dependencies, 'keys' | 'clock'>,
): AsyncIterable<ListLiveKeysResponse> {
  for await (const some of keys.liveOfAccounts(accountIds, clock.now(), signal)) {
    yield { keys: some.map(({ _id, ...key }) => ({ keyId: _id, ...key })) };
  }
}
