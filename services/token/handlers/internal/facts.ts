import type {
  GetKeyFactRequest,
  GetKeyFactResponse,
  GetTokenFactRequest,
  GetTokenFactResponse,
} from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { Dependencies } from '../dependencies.ts';

/** GetTokenFact: a fill. */
export async function getTokenFact(
  { tokenHash }: GetTokenFactRequest,
  { signal }: Call,
  { fills }: Dependencies,
): Promise<GetTokenFactResponse> {
  return { token: await fills.token(tokenHash, signal) };
}

/** GetKeyFact: a fill. */
export async function getKeyFact(
  { keyHash }: GetKeyFactRequest,
  { signal }: Call,
  { fills }: Dependencies,
): Promise<GetKeyFactResponse> {
  return { key: await fills.key(keyHash, signal) };
}
