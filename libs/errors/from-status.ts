import { type ServiceError, status } from '@grpc/grpc-js';
import {
  BadRequest,
  ErrorInfo,
  PreconditionFailure,
  QuotaFailure,
  RequestInfo,
  ResourceInfo,
  RetryInfo,
} from '@silo/protos/gen/google/rpc/error_details.ts';
import { Status } from '@silo/protos/gen/google/rpc/status.ts';
import type { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { reasonName, reasonNamed } from './reason-name.ts';
import { type ErrorDetails, SiloError } from './silo-error.ts';
import { detailsKey, errorDomain } from './to-status.ts';

/** Whether this is what a grpc-js client rejects with. */
export function isServiceError(error: unknown): error is ServiceError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'number' &&
    error.code > status.OK &&
    error.code <= status.UNAUTHENTICATED &&
    'metadata' in error
  );
}

/** The refusal that a server of ours sent; undefined for any other error. */
export function fromStatus(error: unknown): SiloError | undefined {
  if (error instanceof SiloError) return error;
  if (!isServiceError(error)) return undefined;
  const [bytes] = error.metadata?.get(detailsKey) ?? [];
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    return decodeStatus(Status.decode(bytes), error);
  } catch {
    return undefined; // bytes of another protocol: not a refusal of ours
  }
}

/** The reason's name, such as `TOKEN_INVALID`, of a SiloError or of what a client rejects with. */
export function reasonOf(error: unknown): string | undefined {
  const refusal = fromStatus(error);
  return refusal === undefined ? undefined : reasonName(refusal.reason);
}

function decodeStatus(decoded: Status, cause: Error): SiloError | undefined {
  let info: { reason: ErrorReason; metadata: Record<string, string> } | undefined;
  const details: ErrorDetails = {};
  for (const { typeUrl, value } of decoded.details) {
    switch (typeUrl.slice(typeUrl.lastIndexOf('/') + 1)) {
      case 'google.rpc.ErrorInfo': {
        const { domain, reason, metadata } = ErrorInfo.decode(value);
        const known = domain === errorDomain ? reasonNamed(reason) : undefined;
        if (known !== undefined) info = { reason: known, metadata };
        break;
      }
      case 'google.rpc.BadRequest':
        details.badRequest = BadRequest.decode(value).fieldViolations.map(
          ({ field, description }) => ({ field, description }),
        );
        break;
      case 'google.rpc.PreconditionFailure':
        details.preconditionFailure = PreconditionFailure.decode(value).violations;
        break;
      case 'google.rpc.QuotaFailure':
        details.quotaFailure = QuotaFailure.decode(value).violations.map(
          ({ subject, description }) => ({ subject, description }),
        );
        break;
      case 'google.rpc.ResourceInfo': {
        const { resourceType, resourceName } = ResourceInfo.decode(value);
        details.resourceInfo = { resourceType, resourceName };
        break;
      }
      case 'google.rpc.RetryInfo': {
        const { seconds = 0, nanos = 0 } = RetryInfo.decode(value).retryDelay ?? {};
        details.retryDelayMs = seconds * 1_000 + nanos / 1_000_000;
        break;
      }
      case 'google.rpc.RequestInfo':
        details.requestInfo = RequestInfo.decode(value).requestId;
        break;
    }
  }
  if (info === undefined) return undefined;
  return new SiloError({ code: decoded.code, message: decoded.message, ...info, details, cause });
}
