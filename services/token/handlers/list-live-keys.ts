import type {
  ListLiveKeysRequest,
  ListLiveKeysResponse,
  LiveKey,
} from '@silo/protos/gen/silo/token/internal/v1/directory_service.ts';
import type { StreamHandler } from '@silo/rpc/mount.ts';
import type { Dependencies } from './dependencies.ts';

const pageSize = 1_000;

/** Answers the live keys of accounts. */
export const createListLiveKeys = ({
  keys,
  clock,
}: Pick<Dependencies, 'keys' | 'clock'>): StreamHandler<
  ListLiveKeysRequest,
  ListLiveKeysResponse
> =>
  async function* ({ accountIds }, { signal }) {
    let page: LiveKey[] = [];
    for await (const { _id, ...key } of keys.liveOfAccounts(accountIds, clock.now(), signal)) {
      page.push({ keyId: _id, ...key });
      if (page.length < pageSize) continue;
      yield { keys: page };
      page = [];
    }
    if (page.length > 0) yield { keys: page };
  };
