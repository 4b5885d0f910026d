import type { AccessFacts, Question } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type {
  AuthorizeRequest,
  AuthorizeResponse,
  KeyFacts,
} from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { hashOf, isWellFormed } from '@silo/tokens/secrets.ts';
import type { Dependencies } from './dependencies.ts';
import { toRefusal } from './to-refusal.ts';

/** Authorize: whether a key, whatever was sent as one, may do something. */
export const createAuthorize =
  ({ access }: Dependencies): Handler<AuthorizeRequest, AuthorizeResponse> =>
  async (request, { signal }) => {
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
  };

/** The target; an empty id must not pass for "none", which asks for less. */
function targetOf({ target }: AuthorizeRequest): Pick<Question, 'organizationId' | 'projectId'> {
  if (target === undefined) return {};
  if (target.value === '') {
    const field = target.$case === 'projectId' ? 'project_id' : 'organization_id';
    throw errors.invalidField([{ field, description: 'must not be empty where it is given' }]);
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
