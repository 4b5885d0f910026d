import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { fromStatus, isServiceError, reasonOf } from '@silo/errors/from-status.ts';
import { type Sleep, systemSleep } from '@silo/runtime/clock.ts';
import { retry } from '@silo/runtime/retry.ts';
import { CallFailure, Interrupted, usage } from './failure.ts';
import type { Progress } from './progress.ts';

export type Patience = {
  signal: AbortSignal;
  /** Sent with the command's change in place of a new request id. */
  requestId: string | undefined;
  progress: Progress;
  /** The address of the calls, shown when they fail: `host:port (service)`. */
  at?: string | undefined;
  sleep?: Sleep | undefined;
  /** Watches the first connection; resolves when it is known whether the server is up. */
  watch?: (() => Promise<void>) | undefined;
};

/**
 * Adds a watch of the server, which ends the calls as soon as the server is known to be down. The
 * watch begins with the first call; `whyDown` returns undefined if the server is up.
 */
export function watchedBy(
  patience: Patience,
  whyDown: () => Promise<string | undefined>,
  failure: (why: string) => Error,
): Patience {
  const down = new AbortController();
  let watching: Promise<void> | undefined;
  const begin = async () => {
    const why = await whyDown().catch(() => undefined);
    if (why !== undefined) down.abort(failure(why));
  };
  return {
    ...patience,
    signal: AbortSignal.any([patience.signal, down.signal]),
    watch: () => {
      watching ??= begin();
      return watching;
    },
  };
}

// Enough for a server that restarts, and for a revocation that waits for a crashed guard.
const attemptsMax = 5;
const beginWithinMs = 60_000;
const jitter = { baseMs: 250, capMs: 2_000 };

// Methods whose request id is a secret, because it gives access to the secret in the response.
const secretIds: ReadonlySet<string> = new Set([
  'createAccount',
  'createApiKey',
  'rollApiKey',
  'inviteMember',
]);

const endAccess: ReadonlySet<string> = new Set([
  'moveProject',
  'batchMoveProjects',
  'undoMove',
  'deleteProject',
  'deleteOrganization',
  'removeMember',
  'leaveOrganization',
  'updateMember',
  'updateOrganization',
  'regenerateProjectToken',
  'updateApiKey',
  'disableApiKey',
  'rollApiKey',
  'deleteApiKey',
]);

/** A request that makes a change. */
type Change = { requestId: string };

/** A request's own signal ends this request; the signal of the command ends all of them. */
type RequestOptions = { signal?: AbortSignal | undefined };

type Method = (request: never, options?: RequestOptions) => Promise<unknown>;

/**
 * The same methods with retries: a transient failure is retried after the delay that the server
 * requests, with jitter. A change carries a request id, the same in each retry, so that it is
 * executed once. Rejects with CallFailure, Interrupted, or the reason of the request's own signal.
 */
export function patient<Methods extends object>(methods: Methods, patience: Patience): Methods {
  const wrapped = Object.entries<Method>(methods as Record<string, Method>).map(
    ([name, method]) => [
      name,
      (request: object, options?: RequestOptions) => {
        const [ended, until] = endedBy(method, patience, options?.signal);
        return hasRequestId(request)
          ? change(name, ended, request, until)
          : read(ended, request, until);
      },
    ],
  );
  return Object.fromEntries(wrapped);
}

/** A method whose waits end with the signal of the request, too. */
function endedBy(
  method: Method,
  patience: Patience,
  own: AbortSignal | undefined,
): [Method, Patience] {
  if (own === undefined) return [method, patience];
  const signal = AbortSignal.any([patience.signal, own]);
  return [(request) => method(request, { signal }), { ...patience, signal }];
}

/** A streaming method; it has no retries, because a retry would repeat what was read. */
export function stream<Request, Message>(
  method: (request: Request) => AsyncIterable<Message>,
  { signal, watch, at }: Patience,
): (request: Request) => AsyncIterable<Message> {
  return async function* (request) {
    void watch?.();
    try {
      yield* method(request);
    } catch (error) {
      if (isSilence(error)) await watch?.();
      signal.throwIfAborted();
      throw new CallFailure(error, fromStatus(error), undefined, { at });
    }
  };
}

function hasRequestId(request: object): request is Change {
  return 'requestId' in request;
}

async function change(name: string, method: Method, request: Change, patience: Patience) {
  const { progress } = patience;
  const isSecret = secretIds.has(name);
  if (isSecret && patience.requestId !== undefined) {
    throw usage('This request’s id would be a secret, so the command makes it itself.');
  }
  // A second change of a command gets an id of its own.
  const requestId = request.requestId || (patience.requestId ?? randomUUID());
  const shownId = isSecret ? undefined : requestId;
  using shown = progress.show(
    endAccess.has(name)
      ? 'Waiting until the old access has ended everywhere'
      : 'Waiting for the answer',
  );
  try {
    return await repeat(method, { ...request, requestId }, patience, shown.again);
  } catch (error) {
    if (error instanceof Interrupted) throw new Interrupted(error.signal, { requestId: shownId });
    if (error instanceof CallFailure) {
      throw new CallFailure(error.cause, error.refusal, shownId, error);
    }
    throw error;
  }
}

async function read(method: Method, request: object, patience: Patience): Promise<unknown> {
  using shown = patience.progress.show('Waiting for the answer');
  return await repeat(method, request, patience, shown.again);
}

async function repeat(
  method: Method,
  request: object,
  { signal, watch, at, sleep = systemSleep }: Patience,
  onRetry: (reason: string) => void,
): Promise<unknown> {
  const end = performance.now() + beginWithinMs;
  void watch?.();
  try {
    return await retry(() => method(request as never), {
      ...{ attemptsMax, ...jitter, signal, sleep },
      isRetryable: (error) => {
        const delayMs = retryDelayMs(error);
        return delayMs !== undefined && performance.now() + delayMs <= end;
      },
      minPauseMs: (error) => retryDelayMs(error) ?? 0,
      onRetry: (error) => onRetry(reasonInWords(error)),
    });
  } catch (error) {
    if (isSilence(error)) await watch?.();
    signal.throwIfAborted();
    throw new CallFailure(error, fromStatus(error), undefined, { at });
  }
}

/** Whether Silo gave no answer. */
function isSilence(error: unknown): boolean {
  return isServiceError(error) && error.code === status.UNAVAILABLE;
}

function reasonInWords(error: unknown): string {
  const reason = reasonOf(error);
  return reason === 'RATE_LIMITED' ? 'too many calls for now' : (reason ?? 'no answer');
}

/** The delay before the same request may be sent again; undefined if a retry does not help. */
function retryDelayMs(error: unknown): number | undefined {
  const refusal = fromStatus(error);
  if (refusal?.details.retryDelayMs !== undefined) return refusal.details.retryDelayMs;
  const code = refusal?.code ?? (isServiceError(error) ? error.code : undefined);
  return code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED ? 0 : undefined;
}
