import type { AccessFacts, Question, Refusal } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  AuthorizeRequest,
  AuthorizeResponse,
  KeyFacts,
  Refusal as RefusalMessage,
  VerifyTokenRequest,
  VerifyTokenResponse,
} from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { refusalError } from '@silo/rpc/refusal.ts';
import { hashOf, isWellFormed } from '@silo/tokens/secrets.ts';
import type { Dependencies } from '../dependencies.ts';

/** VerifyToken: returns whose project token this is, or why it is refused. Accepts any text. */
export async function verifyToken(
  { token }: VerifyTokenRequest,
  { signal }: Call,
  { access }: Dependencies,
): Promise<VerifyTokenResponse> {
  const answer = await access.verifyToken(token, signal);
  if (!answer.allowed) {
    return { answer: { $case: 'refusal', value: toRefusal(answer.refusal) } };
  }
  const { projectId, organizationId } = answer;
  return { answer: { $case: 'facts', value: { projectId, organizationId } } };
}

/** Authorize: decides whether a key may do something. Accepts any text as the key. */
export async function authorize(
  request: AuthorizeRequest,
  { signal }: Call,
  { access }: Dependencies,
): Promise<AuthorizeResponse> {
  const target = targetOf(request);
  if (!isWellFormed(request.key, 'phx_')) {
    const malformed = { reason: ErrorReason.ERROR_REASON_TOKEN_INVALID, detail: '' };
    return { answer: { $case: 'refusal', value: toRefusal(malformed) } };
  }
  const { scope, level } = request;
  const keyHash = hashOf(request.key);
  const answer = await access.authorize({ keyHash, scope, level, ...target }, signal);
  return answer.allowed
    ? { answer: { $case: 'facts', value: toKeyFacts(answer.facts) } }
    : { answer: { $case: 'refusal', value: toRefusal(answer.refusal) } };
}

/**
 * Returns the target. Refuses an empty id, which must not be taken as "no target": that would
 * require less access.
 */
function targetOf({ target }: AuthorizeRequest): Pick<Question, 'organizationId' | 'projectId'> {
  if (target === undefined) return {};
  if (target.value === '') {
    const field = target.$case === 'projectId' ? 'project_id' : 'organization_id';
    throw errors.invalidField([{ field, description: 'must not be empty if it is given' }]);
  }
  return target.$case === 'projectId'
    ? { projectId: target.value }
    : { organizationId: target.value };
}

function toKeyFacts({ key, organization }: AccessFacts): KeyFacts {
  return {
    keyId: key.keyId,
    accountId: key.accountId,
    organizationId: organization?.id ?? '',
    level: organization?.level ?? Level.LEVEL_UNSPECIFIED,
    membersMayCreateProjects: organization?.fact.membersMayCreateProjects ?? false,
  };
}

/** Converts a refusal to a response: the reason, and the text that an error would have. */
function toRefusal(refusal: Refusal): RefusalMessage {
  return { reason: refusal.reason, description: refusalError(refusal).message };
}
