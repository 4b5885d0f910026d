import { status } from '@grpc/grpc-js';
import type { SiloError } from '@silo/errors/silo-error.ts';

/** How the command ends; scripts may rely on these codes. */
export const exitCodes = {
  ok: 0,
  bug: 1,
  usage: 2,
  refused: 3,
  hidden: 4,
  unavailable: 5,
  changed: 6,
  notConfirmed: 7,
  unhealthy: 8,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitName = keyof typeof exitCodes;

/** The meaning of each code, for `silo exit-codes` and the README. */
export const exitMeanings: Record<ExitName, string> = {
  ok: 'Done.',
  bug: 'A bug, of Silo or of this command.',
  usage: 'The command line, a value in it, or the profile is wrong. Nothing was changed.',
  refused: 'Refused by a rule: a quota, a last project, a plan. Nothing was changed.',
  hidden: 'Not signed in, not permitted, or no such thing that you may know of.',
  unavailable: 'No answer in time, or not yet: run it again. A change may have been made.',
  changed: 'It has changed since you looked. Nothing was changed: look, and decide, again.',
  notConfirmed: 'You did not confirm. Nothing was changed.',
  unhealthy: '`silo doctor` found something that is wrong.',
  interrupted: 'Ctrl-C. At a question nothing was changed; while waiting, a change may have been.',
  terminated: 'Stopped by SIGTERM or SIGHUP; a change may have been made.',
};

/** How the command ends after this refusal. */
export function exitOfRefusal({ code, details }: Pick<SiloError, 'code' | 'details'>): ExitName {
  if (details.retryDelayMs !== undefined) return 'unavailable';
  return exitOfStatus(code);
}

/** How the command ends if Silo did not answer and gRPC itself reports this status. */
export function exitOfSilence(code: number, details: string): ExitName {
  if (code !== status.RESOURCE_EXHAUSTED) return exitOfStatus(code);
  // RESOURCE_EXHAUSTED of gRPC is not a rule of Silo: it is a message that is too large, or HTTP/2
  // flow control (ENHANCE_YOUR_CALM).
  return isTooLarge(code, details) ? 'bug' : 'unavailable';
}

/**
 * Whether a message exceeded the size that one side accepts. Silo bounds its answers, so that is a
 * bug.
 */
export function isTooLarge(code: number, details: string): boolean {
  return code === status.RESOURCE_EXHAUSTED && details.includes('larger than max');
}

/** How the command ends when a call ended with this gRPC status. */
function exitOfStatus(code: number): ExitName {
  switch (code) {
    case status.INVALID_ARGUMENT:
      return 'usage';
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
    case status.NOT_FOUND:
      return 'hidden';
    case status.FAILED_PRECONDITION:
    case status.RESOURCE_EXHAUSTED:
    case status.ALREADY_EXISTS:
    case status.OUT_OF_RANGE:
      return 'refused';
    case status.ABORTED:
      return 'changed';
    case status.UNAVAILABLE:
    case status.DEADLINE_EXCEEDED:
    case status.CANCELLED:
      return 'unavailable';
    default:
      return 'bug';
  }
}
