import { isDeepStrictEqual } from 'node:util';
import { fromStatus, reasonOf } from '@silo/errors/from-status.ts';
import type { ReasonName } from '@silo/errors/reason-name.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';

/** Fails the step unless the two values are equal. */
export function claim(what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
}

/** The value of a field that the answer must contain. */
export function given<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the answer holds no ${what}`);
  return value;
}

/** The refusal of a call that must be refused for this reason; fails the step otherwise. */
export async function refused(reason: ReasonName, call: Promise<unknown>): Promise<SiloError> {
  let failure: unknown;
  try {
    await call;
  } catch (error) {
    failure = error;
  }
  if (failure === undefined)
    throw new Error(`expected a refusal with ${reason}, but it went through`);
  const refusal = fromStatus(failure);
  if (refusal === undefined || reasonOf(refusal) !== reason) {
    const said = refusal ? `${reasonOf(refusal)}: ${refusal.message}` : String(failure);
    throw new Error(`expected a refusal with ${reason}, but got ${said}`, { cause: failure });
  }
  return refusal;
}
