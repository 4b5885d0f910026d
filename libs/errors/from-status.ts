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
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { reasonNamed } from './reason-name.ts';
import { type ErrorDetails, SiloError } from './silo-error.ts';
import { detailsKey, errorDomain } from './to-status.ts';

// The format that google/rpc/error_details.proto defines for ErrorInfo.reason.
const reasonPattern = /^[A-Z][A-Z0-9_]{1,62}$/;

/** Whether this is an error of a grpc-js client that is not decoded yet. */
export function isServiceError(error: unknown): error is ServiceError {
  return (
    error instanceof Error &&
    !(error instanceof SiloError) &&
    'code' in error &&
    typeof error.code === 'number' &&
    error.code > status.OK &&
    error.code <= status.UNAUTHENTICATED &&
    'metadata' in error
  );
}

const codesBetweenServers: readonly number[] = [
  ...[status.PERMISSION_DENIED, status.UNAUTHENTICATED, status.UNIMPLEMENTED, status.INTERNAL],
  ...[status.DEADLINE_EXCEEDED, status.CANCELLED],
];

/**
 * Whether a server's refusal is about the server, or about this process as its client, and not
 * about the request. Such a refusal must not be passed to the caller of this process.
 */
export function isBetweenServers({ code }: SiloError): boolean {
  return codesBetweenServers.includes(code);
}

/** Decodes the error that a Silo server sent; undefined for any other error. */
export function fromStatus(error: unknown): SiloError | undefined {
  if (error instanceof SiloError) return error;
  if (!isServiceError(error)) return undefined;
  const [bytes] = error.metadata?.get(detailsKey) ?? [];
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    return decodeStatus(Status.decode(bytes), error);
  } catch {
    return undefined; // not a google.rpc.Status
  }
}

/** The reason's name, such as `TOKEN_INVALID`, of a SiloError or of a client's error. */
export function reasonOf(error: unknown): string | undefined {
  return fromStatus(error)?.reasonName;
}

function decodeStatus(decoded: Status, cause: Error): SiloError | undefined {
  let info:
    | { reason: ErrorReason; reasonName: string; metadata: Record<string, string> }
    | undefined;
  const details: ErrorDetails = {};
  for (const { typeUrl, value } of decoded.details) {
    switch (typeUrl.slice(typeUrl.lastIndexOf('/') + 1)) {
      case 'google.rpc.ErrorInfo': {
        const { domain, reason: reasonName, metadata } = ErrorInfo.decode(value);
        if (domain !== errorDomain || !reasonPattern.test(reasonName)) break;
        // A newer server may send a reason that this build does not know: it is still a Silo error.
        const reason = reasonNamed(reasonName) ?? ErrorReason.ERROR_REASON_UNSPECIFIED;
        info = { reason, reasonName, metadata };
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
