import type { SiloError } from '@silo/errors/silo-error.ts';
import type { EndSignal } from '@silo/runtime/command.ts';
import type { ExitName } from './exit-codes.ts';

/** A failure that the command itself detects. */
export class Failure extends Error {
  readonly exit: ExitName;
  /** The next step, for people. */
  readonly next: string | undefined;

  constructor(exit: ExitName, message: string, next?: string) {
    super(message);
    this.exit = exit;
    this.next = next;
  }
}

/** The failure of a command line, or of a file that it relies on. */
export function usage(message: string, next?: string): Failure {
  return new Failure('usage', message, next);
}

/** Thrown after an answer that itself explains why the exit code is not 0. */
export class Answered extends Error {
  readonly exit: ExitName;

  constructor(exit: ExitName) {
    super(exit);
    this.exit = exit;
  }
}

/** A call that failed and will not be retried any more. */
export class CallFailure extends Error {
  /** Undefined if Silo did not answer. */
  readonly refusal: SiloError | undefined;
  /** The id of the request, if it has one that is not secret. */
  readonly requestId: string | undefined;
  /** The meaning for this command, in place of the general words for the refusal. */
  readonly meaning: string | undefined;
  /** The next step for this command, in place of the general advice. */
  readonly next: string | undefined;
  /** The address that was called: `host:port (service)`. */
  readonly at: string | undefined;

  constructor(
    cause: unknown,
    refusal: SiloError | undefined,
    requestId: string | undefined,
    { meaning, next, at }: Partial<Pick<CallFailure, 'meaning' | 'next' | 'at'>> = {},
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.refusal = refusal;
    this.requestId = requestId;
    this.meaning = meaning;
    this.next = next;
    this.at = at;
  }

  /** The same failure, with its meaning for this command. */
  saying(meaning: string): CallFailure {
    return new CallFailure(this.cause, this.refusal, this.requestId, { ...this, meaning });
  }

  /** The same failure, with this command's advice. */
  advising(next: string): CallFailure {
    return new CallFailure(this.cause, this.refusal, this.requestId, { ...this, next });
  }
}

/** Thrown when a signal interrupts the command. */
export class Interrupted extends Error {
  readonly signal: EndSignal;
  /** The change whose answer was pending, with its request id if that is not secret. */
  readonly sent: { requestId: string | undefined } | undefined;

  constructor(signal: EndSignal, sent?: { requestId: string | undefined } | undefined) {
    super(signal);
    this.signal = signal;
    this.sent = sent;
  }

  get exit(): ExitName {
    return this.signal === 'SIGINT' ? 'interrupted' : 'terminated';
  }
}
