import type {
  GetTokenFactRequest,
  GetTokenFactResponse,
} from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import type { Dependencies } from './dependencies.ts';

/** GetTokenFact: a fill. */
export const createGetTokenFact =
  ({ fills }: Dependencies): Handler<GetTokenFactRequest, GetTokenFactResponse> =>
  async ({ tokenHash }, { signal }) => ({ token: await fills.token(tokenHash, signal) });
