import type {
  GetKeyFactRequest,
  GetKeyFactResponse,
  GetTokenFactRequest,
  GetTokenFactResponse,
} from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { Dependencies } from '../dependencies.ts';

/** GetTokenFact: a fact fetch. */
export async function getTokenFact(
  { tokenHash }: GetTokenFactRequest,
  { signal }: Call,
  { factReader }: Dependencies,
): Promise<GetTokenFactResponse> {
  return { token: await factReader.token(tokenHash, signal) };
}

/** GetKeyFact: a fact fetch. */
export async function getKeyFact(
  { keyHash }: GetKeyFactRequest,
  { signal }: Call,
  { factReader }: Dependencies,
): Promise<GetKeyFactResponse> {
  return { key: await factReader.key(keyHash, signal) };
}
