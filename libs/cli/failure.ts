import type { SiloError } from '@silo/errors/silo-error.ts';
import type { EndSignal } from '@silo/runtime/command.ts';
import type { ExitName } from './exit-codes.ts';

/** A failure that the command itself detects. */
export class Failure extends Error {
  readonly exit: ExitName;
  /** What to do next, for people. */
  readonly next: string | undefined;

  constructor(exit: ExitName, message: string, next?: string) {
    super(message);
    this.exit = exit;
    this.next = next;
  }
}

/** The command line, or what it rests on, is wrong. */
export function usage(message: string, next?: string): Failure {
  return new Failure('usage', message, next);
}

/** The answer was written, and says by itself why the command does not end with 0. */
export class Answered extends Error {
  readonly exit: ExitName;

  constructor(exit: ExitName) {
    super(exit);
    this.exit = exit;
  }
}

/** A call that failed, once it is given up. */
export class CallFailure extends Error {
  /** Undefined where nothing of ours answered. */
  readonly refusal: SiloError | undefined;
  /** Of the request, if it had one that is not a secret. */
  readonly requestId: string | undefined;
  /** What it means for the command, in place of the general words for the refusal. */
  readonly meaning: string | undefined;
  /** What to do next for the command, in place of the general advice. */
  readonly next: string | undefined;
  /** Where it was sent: `host:port (service)`. */
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

  /** The same failure, with its meaning for the command. */
  saying(meaning: string): CallFailure {
    return new CallFailure(this.cause, this.refusal, this.requestId, { ...this, meaning });
  }

  /** The same failure, with what the command advises. */
  advising(next: string): CallFailure {
    return new CallFailure(this.cause, this.refusal, this.requestId, { ...this, next });
  }
}

/** A signal came. */
export class Interrupted extends Error {
  readonly signal: EndSignal;
  /** The change whose answer was being waited for, by its request id where that is no secret. */
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
