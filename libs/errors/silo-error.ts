import type { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { reasonName } from './reason-name.ts';

export type FieldViolation = { field: string; description: string };
export type PreconditionViolation = { type: string; subject: string; description: string };
type QuotaViolation = { subject: string; description: string };

/** Error details besides ErrorInfo, each a message of google/rpc/error_details.proto. */
export type ErrorDetails = {
  badRequest?: FieldViolation[] | undefined;
  preconditionFailure?: PreconditionViolation[] | undefined;
  quotaFailure?: QuotaViolation[] | undefined;
  resourceInfo?: { resourceType: string; resourceName: string } | undefined;
  retryDelayMs?: number | undefined;
  /** RequestInfo.request_id: identifies the log lines of a bug. */
  requestInfo?: string | undefined;
};

/** An error of Silo. Created only in errors.ts, and when an error is decoded from the wire. */
export class SiloError extends Error {
  override readonly name = 'SiloError';
  /** gRPC status number. */
  readonly code: number;
  /** Unspecified if only a newer release knows the reason. */
  readonly reason: ErrorReason;
  /**
   * The reason as ErrorInfo carries it, such as `TOKEN_INVALID`, even if this build does not know
   * it.
   */
  readonly reasonName: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly details: Readonly<ErrorDetails>;

  constructor(init: {
    code: number;
    reason: ErrorReason;
    reasonName?: string | undefined;
    message: string;
    metadata?: Record<string, string> | undefined;
    details?: ErrorDetails | undefined;
    cause?: unknown;
  }) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.reason = init.reason;
    this.reasonName = init.reasonName ?? reasonName(init.reason);
    this.metadata = init.metadata ?? {};
    this.details = init.details ?? {};
  }
}
