import { status } from '@grpc/grpc-js';
import { isServiceError } from '@silo/errors/from-status.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { adviceFor } from './advice.ts';
import {
  type ExitName,
  exitCodes,
  exitOfRefusal,
  exitOfSilence,
  isTooLarge,
} from './exit-codes.ts';
import { CallFailure, Failure, Interrupted } from './failure.ts';
import { fieldText, meaningOf, violationsIn } from './meaning.ts';
import type { Block } from './text.ts';
import { withProfile } from './with-profile.ts';

/** The presentation of a failure: for people, for scripts, and as an exit code. */
export type Explained = { exit: ExitName; blocks: Block[]; json: object };

/** How the command was called. */
type Called = {
  /** The command line that repeats the same request, if it differs from the one that was called. */
  repetition?: string | undefined;
  /** The profile that the user has named. */
  profile?: string | undefined;
};

/** The one place that turns errors into text and an exit code. */
export function explain(error: unknown, { repetition, profile }: Called = {}): Explained {
  const { next, ...description } = descriptionOf(error, repetition);
  return explained({ ...description, next: next && withProfile(next, profile) });
}

function descriptionOf(error: unknown, repetition: string | undefined): Description {
  if (error instanceof CallFailure) {
    if (error.refusal !== undefined) {
      const repeat = repeatAdvice(error.requestId, repetition);
      return explainRefusal(error.refusal, repeat, error);
    }
    return explainSilence(error, repeatAdvice(error.requestId, repetition));
  }
  if (error instanceof Interrupted) {
    return explainInterruption(error, repeatAdvice(error.sent?.requestId, repetition));
  }
  if (error instanceof Failure) {
    return { exit: error.exit, message: error.message, next: error.next };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { exit: 'bug', message, next: 'report it: this is a bug of the command' };
}

type Description = {
  exit: ExitName;
  message: string;
  /** Text that people read in place of the message. */
  meaning?: string | undefined;
  lines?: Block[] | undefined;
  /** Whether people see only the meaning: to them it is not an error. */
  isNone?: boolean | undefined;
  next?: string | undefined;
  /** Additional fields for scripts. */
  json?: object | undefined;
  reason?: string | undefined;
  requestId?: string | undefined;
  callId?: string | undefined;
};

function explained(description: Description): Explained {
  const { exit, message, meaning = message, lines = [], isNone, next, json, ...ids } = description;
  const names = [
    ids.reason && `reason ${ids.reason}`,
    ids.requestId && `request ${ids.requestId}`,
    ids.callId && `call ${ids.callId}`,
  ].filter(Boolean);
  const [first = '', ...rest] = meaning.split('\n');
  const blocks: Block[] = [
    [{ text: 'error:', style: 'bad' }, ` ${first}`],
    ...rest,
    ...lines,
    ...(next ? [[{ text: 'next: ', style: 'bold' } as const, ` ${next}`]] : []),
    ...(names.length > 0 ? [{ text: names.join(' · '), style: 'dim' } as const] : []),
  ];
  return {
    exit,
    blocks: isNone ? [meaning] : blocks,
    json: { error: { exit: exitCodes[exit], message, ...ids, ...json, next } },
  };
}

function explainRefusal(
  refusal: SiloError,
  repeat: string | undefined,
  { requestId, meaning, next }: CallFailure,
): Description {
  const { details, metadata } = refusal;
  const { badRequest = [], preconditionFailure = [], quotaFailure = [] } = details;
  const exit = exitOfRefusal(refusal);
  return {
    exit,
    message: refusal.message,
    meaning: meaning ?? meaningOf(refusal),
    lines: [
      ...badRequest.map(({ field, description }) => `  ${fieldText(field)}: ${description}`),
      ...violationsIn(refusal).map((text) => `  ${text}`),
    ],
    next:
      next ??
      adviceFor(refusal) ??
      (exit === 'unavailable' ? (repeat ?? 'run it again') : undefined),
    reason: refusal.reasonName,
    requestId,
    callId: details.requestInfo,
    json: {
      code: status[refusal.code],
      metadata,
      fieldViolations: badRequest,
      violations: preconditionFailure,
      quotaViolations: quotaFailure,
      resource: details.resourceInfo,
      retryAfterMs: details.retryDelayMs,
    },
  };
}

function explainSilence(
  { cause, message, meaning, requestId, at }: CallFailure,
  repeat: string | undefined,
): Description {
  if (!isServiceError(cause)) return { exit: 'bug', message, requestId };
  const details = cause.details || cause.message;
  const exit = exitOfSilence(cause.code, details);
  const code = status[cause.code];
  const tooLarge = isTooLarge(cause.code, details);
  return {
    exit,
    message: tooLarge
      ? `A message is too large for gRPC: ${details}`
      : `No answer from Silo: ${details}`,
    meaning:
      meaning ??
      (tooLarge ? undefined : `No answer from Silo: ${silenceText(cause.code, details, at)}`),
    next: tooLarge
      ? 'report it: Silo bounds its answers; a smaller --limit may help'
      : exit === 'unavailable'
        ? `is it running, and are the addresses right (silo profiles)? ${repeat ?? ''}`.trim()
        : undefined,
    requestId,
    json: { code },
  };
}

/** Rewords gRPC's description of a connection failure without its terms. */
function silenceText(code: number, details: string, at = 'it'): string {
  if (code === status.DEADLINE_EXCEEDED) {
    const [, seconds] = /after ([\d.]+)s/.exec(details) ?? [];
    const within = seconds === undefined ? 'in time' : `within ${Math.ceil(Number(seconds))} s`;
    return `${at} did not answer ${within}.`;
  }
  if (!details.includes('No connection established')) return details;
  const [, why = '', address = ''] = /\b(E[A-Z]{3,})(?: (\S+:\d+))?/.exec(details) ?? [];
  const where = address && ` to ${address}`;
  return `no connection${where}${why && `: ${why}`}.`;
}

function explainInterruption(
  { exit, sent, signal }: Interrupted,
  repeat: string | undefined,
): Description {
  if (sent === undefined) {
    const message = `Stopped by ${signal}.`;
    // Ctrl-C is not an error if no change is pending: it is the only way to end `silo events tail`.
    return signal === 'SIGINT'
      ? { exit, message, meaning: 'Stopped.', isNone: true }
      : { exit, message };
  }
  return {
    exit,
    message: `Stopped by ${signal} while waiting for the answer: the change may have been made.`,
    next: repeat,
    requestId: sent.requestId,
  };
}

/** Repeating the same request is safe: it is executed once, and the repeat returns its answer. */
function repeatAdvice(
  requestId: string | undefined,
  command = 'the same command, with ids for names,',
): string | undefined {
  return (
    requestId &&
    `${command} --request-id ${requestId} executes it at most once and shows the result`
  );
}
