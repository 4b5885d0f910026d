import type {
  ListLiveKeysRequest,
  ListLiveKeysResponse,
} from '@silo/protos/gen/silo/token/internal/v1/directory_service.ts';
import type { StreamHandler } from '@silo/rpc/mount.ts';
import type { Dependencies } from './dependencies.ts';

/** Answers the live keys of accounts. */
export const createListLiveKeys = ({
  keys,
  clock,
}: Pick<Dependencies, 'keys' | 'clock'>): StreamHandler<
  ListLiveKeysRequest,
  ListLiveKeysResponse
> =>
  async function* ({ accountIds }, { signal }) {
    for await (const some of keys.liveOfAccounts(accountIds, clock.now(), signal)) {
      yield { keys: some.map(({ _id, ...key }) => ({ keyId: _id, ...key })) };
    }
  };
