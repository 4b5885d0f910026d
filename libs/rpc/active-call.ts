import type { Metadata } from '@grpc/grpc-js';
import type { OpenSpan } from '@silo/runtime/tracing.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import type { Logger } from 'pino';
import { ulid } from 'ulid';
import type { CallDraft } from './call.ts';
import { keyHashOf } from './credentials.ts';
import { traceIdOf } from './trace-id.ts';

/** How a call can end before its handler does. */
export type Ending = 'cancelled' | 'deadline' | 'shutdown';

const endings: Record<Ending, [message: string, name: string]> = {
  cancelled: ['the caller has disconnected', 'AbortError'],
  deadline: ['the deadline of the call has passed', 'TimeoutError'],
  shutdown: ['the server is shutting down', 'AbortError'],
};

/** One call that is being served: what its handler sees, and how it is ended from outside. */
export class ActiveCall {
  readonly call: CallDraft;
  readonly startMs = performance.now();
  /** Where it came from: an IP address. */
  readonly address: string;
  /** Undefined if the call is not traced. */
  readonly span: OpenSpan | undefined;
  readonly #log: Logger;
  readonly #metadata: Metadata;
  readonly #deadlineMs: number;
  #id: string | undefined;
  #childLog: Logger | undefined;
  #controller: AbortController | undefined;
  #ended: Ending | undefined;

  /** `durationMs` is how long the call may take; Infinity for streams without a deadline. */
  constructor(
    method: string,
    durationMs: number,
    metadata: Metadata,
    address: string,
    log: Logger,
    span?: OpenSpan,
  ) {
    this.span = span;
    this.address = address;
    this.#log = log;
    this.#metadata = metadata;
    this.#deadlineMs = this.startMs + durationMs;
    this.call = callOf(this, method);
  }

  // Ids, loggers and signals are made at their first use: most calls need only some of them.
  get id(): string {
    this.#id ??= ulid(undefined, Math.random).toLowerCase();
    return this.#id;
  }

  get log(): Logger {
    this.#childLog ??= this.#log.child({
      callId: this.id,
      traceId: this.traceId,
      method: this.call.method,
    });
    return this.#childLog;
  }

  /** The trace of the call: if nothing is traced here, the trace that its caller names. */
  get traceId(): string | undefined {
    return this.span?.traceId ?? traceIdOf(this.#metadata);
  }

  /**
   * The fingerprint of the API key that the caller sent, whether or not the key exists; never the
   * key itself.
   */
  get keyFingerprint(): string | undefined {
    const keyHash = keyHashOf(this.#metadata);
    return keyHash && fingerprintOf(keyHash);
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended !== undefined) this.#abort(this.#controller, this.#ended);
    }
    return this.#controller.signal;
  }

  get ended(): Ending | undefined {
    return this.#ended;
  }

  /** Runs `work` in the call's span, so that what it does is part of the trace. */
  run<T>(work: () => T): T {
    return this.span === undefined ? work() : this.span.run(work);
  }

  remainingMs(): number {
    if (this.#ended !== undefined) return 0;
    return Math.max(0, this.#deadlineMs - performance.now());
  }

  /** Aborts the signal with the matching reason. Only the first ending counts. */
  end(how: Ending): void {
    if (this.#ended !== undefined) return;
    this.#ended = how;
    if (this.#controller !== undefined) this.#abort(this.#controller, how);
  }

  #abort(controller: AbortController, how: Ending): void {
    controller.abort(new DOMException(...endings[how]));
  }
}

// A plain object with its own accessors, so that a handler may spread it into another mutation.
function callOf(active: ActiveCall, method: string): CallDraft {
  return {
    method,
    actor: 'anyone',
    caller: { kind: 'anyone' },
    request: undefined,
    authorization: undefined,
    checkRepeat: undefined,
    repeat: undefined,
    get id() {
      return active.id;
    },
    get signal() {
      return active.signal;
    },
    get log() {
      return active.log;
    },
    remainingMs: () => active.remainingMs(),
  };
}
