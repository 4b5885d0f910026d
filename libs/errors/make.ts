import { status } from '@grpc/grpc-js';
import type { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { reasonName } from './reason-name.ts';
import { type ErrorDetails, SiloError } from './silo-error.ts';

/** After how long to try again where that helps. */
export const retryDelayMs = 1_000;

type Rest = { metadata?: Record<string, string>; details?: ErrorDetails; cause?: unknown };
type Subject = { subject?: string; metadata?: Record<string, string> };

/** A refusal; only errors.ts makes them. */
export function make(
  code: number,
  reason: ErrorReason,
  message: string,
  rest: Rest = {},
): SiloError {
  return new SiloError({ code, reason, message, ...rest });
}

/** NOT_FOUND, the same for what is hidden and what is absent. */
export function notFound(reason: ErrorReason, resourceType: string, id: string): SiloError {
  const message = `No such ${resourceType}, or not one that you may know of. Check the id.`;
  const details = { resourceInfo: { resourceType, resourceName: id } };
  return make(status.NOT_FOUND, reason, message, { details });
}

/** FAILED_PRECONDITION, with itself as its one violation. */
export function precondition(
  reason: ErrorReason,
  message: string,
  { subject = '', metadata = {} }: Subject = {},
): SiloError {
  const violation = { type: reasonName(reason), subject, description: message };
  const details = { preconditionFailure: [violation] };
  return make(status.FAILED_PRECONDITION, reason, message, { metadata, details });
}

/** RESOURCE_EXHAUSTED, with its QuotaFailure. */
export function quota(
  reason: ErrorReason,
  subject: string,
  message: string,
  metadata: Rest['metadata'],
) {
  const details = { quotaFailure: [{ subject, description: message }] };
  return make(status.RESOURCE_EXHAUSTED, reason, message, { metadata: metadata ?? {}, details });
}

/** ABORTED. */
export function aborted(
  reason: ErrorReason,
  message: string,
  details: ErrorDetails = {},
): SiloError {
  return make(status.ABORTED, reason, message, { details });
}

/** UNAVAILABLE, with RetryInfo. */
export function unavailable(reason: ErrorReason, message: string, cause?: unknown): SiloError {
  return make(status.UNAVAILABLE, reason, message, { details: { retryDelayMs }, cause });
}
