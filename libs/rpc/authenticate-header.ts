import { errors } from '@silo/errors/errors.ts';
import { Caller } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { AdmissionOptions } from './admit.ts';
import { keyHashOfHeader, projectTokenOfHeader } from './credentials.ts';
import type { MethodRules } from './method-rules.ts';
import { refusalError } from './refusal.ts';

/**
 * Whether a call's key or project token is live, before its request is read. Returns false for a
 * key that ended itself and may repeat the request that did so. Throws TOKEN_INVALID for any other.
 */
export async function authenticateHeader(
  { authorization, path }: MethodRules,
  header: string | undefined,
  { access, findEndedKey }: AdmissionOptions,
  signal: AbortSignal,
): Promise<boolean> {
  if (access === undefined) throw new TypeError(`${path} needs access checks`);
  if (authorization.caller === Caller.CALLER_PROJECT_TOKEN) {
    const token = projectTokenOfHeader(header);
    if (token === undefined) throw errors.tokenInvalid();
    const answer = await access.verifyToken(token, signal);
    if (!answer.allowed) throw refusalError(answer.refusal);
    return true;
  }
  const keyHash = keyHashOfHeader(header);
  if (keyHash === undefined) throw errors.tokenInvalid();
  const answer = await access.authorize({ keyHash }, signal);
  if (answer.allowed || answer.refusal.reason !== ErrorReason.ERROR_REASON_TOKEN_INVALID)
    return true;
  if ((await findEndedKey?.(keyHash, signal)) === undefined) throw errors.tokenInvalid();
  return false;
}
