import { status } from '@grpc/grpc-js';
import type { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { reasonName } from './reason-name.ts';
import { type ErrorDetails, SiloError } from './silo-error.ts';

/** Retry delay for errors where a retry helps. */
export const retryDelayMs = 1_000;

type Rest = { metadata?: Record<string, string>; details?: ErrorDetails; cause?: unknown };
type Subject = { subject?: string; metadata?: Record<string, string> };

/** Makes an error; only errors.ts calls this. */
export function make(
  code: number,
  reason: ErrorReason,
  message: string,
  rest: Rest = {},
): SiloError {
  return new SiloError({ code, reason, message, ...rest });
}

/** NOT_FOUND, identical for a hidden and an absent resource. */
export function notFound(reason: ErrorReason, resourceType: string, id: string): SiloError {
  const message = `The ${resourceType} does not exist, or you have no access to it. Check the id.`;
  const details = { resourceInfo: { resourceType, resourceName: id } };
  return make(status.NOT_FOUND, reason, message, { details });
}

/** FAILED_PRECONDITION, with the error itself as the only violation. */
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
