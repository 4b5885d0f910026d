import type { Access, Question, Refusal } from '@silo/access/access.ts';
import { reachesOrganization } from '@silo/access/reach.ts';
import type { RequestIdentity, RequestRecord } from '@silo/mongo/mutation.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { refusalError } from './refusal.ts';

/** A key that ended itself: what it was allowed, and the one request that ended it. */
export type EndedKey = {
  accountId: string;
  keyId: string;
  /** `RequestIdentity.key`: the only request that this key may still repeat. */
  requestKey: Uint8Array;
};

/** Finds a key that ended itself; undefined if it did not, or did so more than 24 hours ago. */
export type FindEndedKey = (
  keyHash: Uint8Array,
  signal: AbortSignal,
) => Promise<EndedKey | undefined>;

/** Dependencies of the check of a repeat. */
export type RepeatOptions = {
  access: Access;
  findEndedKey?: FindEndedKey | undefined;
  signal: AbortSignal;
};

/**
 * Refuses a repeat that its caller may not make. A repeat is authorized like its call, by the
 * present facts: the key must hold the method's scope, reach the organization that the request
 * names, and be allowed what the record demands. The check is waived only for the request by which
 * the key ended itself.
 */
export async function checkRepeat(
  record: RequestRecord,
  request: RequestIdentity,
  question: Question,
  { access, findEndedKey, signal }: RepeatOptions,
): Promise<void> {
  const refusal = await refusalOf(record, question, access, signal);
  if (refusal === undefined) return;
  const ended = await findEndedKey?.(question.keyHash, signal);
  if (ended !== undefined && Buffer.from(request.key).equals(ended.requestKey)) return;
  throw refusalError(refusal);
}

async function refusalOf(
  { reauthorize }: RequestRecord,
  { keyHash, scope, unrestricted, organizationId }: Question,
  access: Access,
  signal: AbortSignal,
): Promise<Refusal | undefined> {
  const ofKey = await access.authorize({ keyHash, scope, unrestricted }, signal);
  if (!ofKey.allowed) return ofKey.refusal;
  if (organizationId && !reachesOrganization(ofKey.facts.key, organizationId)) {
    const reason = ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND;
    return { reason, detail: organizationId };
  }
  const answers = await Promise.all(
    reauthorize.map((demand) => access.authorize({ keyHash, ...demand }, signal)),
  );
  for (const answer of answers) if (!answer.allowed) return answer.refusal;
  return undefined;
}
