import { reasonName } from './reason-name.ts';
import { type PreconditionViolation, SiloError } from './silo-error.ts';

/**
 * Combines several violations of one request into one error. It has the code and reason of the
 * first violation, all of them as PreconditionFailure violations, and a QuotaFailure if one of them
 * is a quota.
 */
export function combine(violated: readonly SiloError[]): SiloError {
  const [first] = violated;
  if (first === undefined) throw new RangeError('nothing to combine');
  const quotas = violated.flatMap(({ details }) => details.quotaFailure ?? []);
  return new SiloError({
    code: first.code,
    reason: first.reason,
    message: first.message,
    metadata: { ...first.metadata },
    details: {
      ...first.details,
      preconditionFailure: violated.flatMap(violationsOf),
      ...(quotas.length > 0 && { quotaFailure: quotas }),
    },
  });
}

/** The violations as preconditions: those of the error, or for a quota one that names it. */
function violationsOf({ details, reason, message }: SiloError): PreconditionViolation[] {
  if (details.preconditionFailure !== undefined) return details.preconditionFailure;
  const subject = details.quotaFailure?.[0]?.subject ?? '';
  return [{ type: reasonName(reason), subject, description: message }];
}
