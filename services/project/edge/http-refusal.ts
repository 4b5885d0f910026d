import { status } from '@grpc/grpc-js';
import { type FieldViolation, SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';

/** SDKs give up after three or four attempts: transient errors must be retried soon. */
const retryAfterSeconds = 1;
const sendAgain = 'Send the same request again.';

/**
 * Error messages for senders of HTTP requests: the messages of the services are for callers of
 * RPCs.
 */
const healing: Partial<Record<string, string>> = {
  NOT_READY: 'The project is being set up, or is cut over to another region.',
  DRAINING: 'The server is shutting down.',
  DEPENDENCY_UNAVAILABLE: 'The server could not answer in time.',
  CALL_ENDED: 'The server could not answer in time.',
  CROSS_REGION: 'The region of the project could not be reached.',
};

const limits: Partial<Record<string, string>> = {
  project: 'The project exceeds its rate limit.',
  address: 'Your address exceeds its rate limit.',
};

/** A response that reports an error. Transient errors get 503: SDKs drop the events at any 4xx. */
export class HttpRefusal extends Error {
  override readonly name = 'HttpRefusal';
  readonly status: 400 | 401 | 403 | 404 | 413 | 503;
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: HttpRefusal['status'],
    reason: string,
    message: string,
    options: { cause?: unknown; retryAfterSeconds?: number } = {},
  ) {
    super(message, { cause: options.cause });
    this.status = code;
    this.reason = reason;
    this.retryAfterSeconds =
      code === 503 ? (options.retryAfterSeconds ?? retryAfterSeconds) : undefined;
  }

  // Reuse refusals without request data: capturing a stack trace is expensive.
  static readonly tokenInvalid = new HttpRefusal(
    401,
    'TOKEN_INVALID',
    'The project token is missing or not valid. Send the current token of the project as `api_key`.',
  );
  static readonly originNotAllowed = (origin: string) =>
    new HttpRefusal(
      403,
      'ORIGIN_NOT_ALLOWED',
      `The project does not accept events from ${origin.slice(0, 200)}. Add it to the project’s app_urls.`,
    );
  static readonly badBody = (description: string) =>
    new HttpRefusal(400, 'INVALID_BODY', `The body ${description}.`);
  static readonly badRequest = new HttpRefusal(400, 'INVALID_REQUEST', 'The request is malformed.');
  static readonly invalidHttp = new HttpRefusal(
    400,
    'INVALID_REQUEST',
    'The request is not valid HTTP/1.1.',
  );
  static readonly headersTooLarge = (bytesMax: number) =>
    new HttpRefusal(400, 'INVALID_REQUEST', `The headers have more than ${bytesMax / 1_024} KiB.`);
  static readonly requestTimeout = new HttpRefusal(
    503,
    'REQUEST_TIMEOUT',
    `The request took too long. ${sendAgain}`,
  );
  static readonly tooLarge = (bytesMax: number) =>
    new HttpRefusal(413, 'BODY_TOO_LARGE', `The body has more than ${bytesMax} bytes.`);
  static readonly notFound = new HttpRefusal(404, 'NOT_FOUND', 'This path does not exist.');
  static readonly overloaded = new HttpRefusal(
    503,
    'OVERLOADED',
    `The server has no buffer space left. ${sendAgain}`,
  );
  static readonly draining = new HttpRefusal(503, 'DRAINING', `${healing.DRAINING} ${sendAgain}`);

  /** Converts an error of the services to HTTP: only permanent errors are 4xx. */
  static of(error: SiloError): HttpRefusal {
    const { code, reasonName, metadata, details } = error;
    if (code === status.UNAUTHENTICATED) return HttpRefusal.tokenInvalid;
    if (code === status.INVALID_ARGUMENT) {
      const wrong = (details.badRequest ?? []).map(violationText).join('; ');
      return new HttpRefusal(400, reasonName, `Correct the request: ${wrong || 'its shape'}.`);
    }
    const seconds = Math.max(retryAfterSeconds, Math.ceil((details.retryDelayMs ?? 0) / 1_000));
    const what = reasonName === 'RATE_LIMITED' ? limits[metadata.limit ?? ''] : healing[reasonName];
    const message = `${what ?? 'The server cannot process the request now.'} ${sendAgain}`;
    return new HttpRefusal(503, reasonName, message, { cause: error, retryAfterSeconds: seconds });
  }
}

/**
 * A violation with the name of the field that the sender used: `CaptureEvents` has other names for
 * some fields.
 */
export function sentViolation({ field, description }: FieldViolation): FieldViolation {
  return { field: field === 'name' ? 'event' : field, description };
}

/** A violation as text. */
export function violationText(violation: FieldViolation): string {
  const { field, description } = sentViolation(violation);
  return `${field} ${description}`.trim();
}

/** Whether an error of the services refuses a token. */
export function isTokenInvalid(error: unknown): boolean {
  return error instanceof SiloError && error.code === status.UNAUTHENTICATED;
}

/** Whether the project is being cut over between regions, which takes seconds at most. */
export function isHeld(error: unknown): boolean {
  return error instanceof SiloError && error.reason === ErrorReason.ERROR_REASON_NOT_READY;
}

/** Whether a rate limit of the project or of the address is exceeded. */
export function isRateLimited(error: unknown): boolean {
  return error instanceof SiloError && error.reason === ErrorReason.ERROR_REASON_RATE_LIMITED;
}

/** The region of the project if the error says that it is in another one. */
export function regionOf(error: unknown): string | undefined {
  const isElsewhere =
    error instanceof SiloError && error.reason === ErrorReason.ERROR_REASON_CROSS_REGION;
  return isElsewhere ? error.metadata.region : undefined;
}
