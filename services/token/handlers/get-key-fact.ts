import type {
  GetKeyFactRequest,
  GetKeyFactResponse,
} from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';

/** GetKeyFact: a fill. */
export const createGetKeyFact =
  ({ fills }: Dependencies): Handler<GetKeyFactRequest, GetKeyFactResponse> =>
  async ({ keyHash }, { signal }) => ({ key: await fills.key(keyHash, signal) });
