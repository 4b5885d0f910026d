import { type ReasonName, reasonName } from '@silo/errors/reason-name.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import type { ExecutionContext } from 'ava';

/** Fails the test unless the call is refused for this reason; returns the error. */
export async function refused(
  t: ExecutionContext<unknown>,
  call: Promise<unknown>,
  reason: ReasonName,
): Promise<SiloError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SiloError)) {
    return t.fail(`${reason} is expected, not ${error ?? 'a response'}`) as never;
  }
  t.is(reasonName(error.reason), reason, error.message);
  return error;
}

/** The error that a rule throws; throws if it throws none, or another kind of error. */
export function refusalBy(rule: () => unknown): SiloError {
  try {
    rule();
  } catch (error) {
    if (error instanceof SiloError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

/** The outcome of each call: `OK`, or the reason of its refusal. Anything else is thrown. */
export async function outcomes(calls: Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((each) => {
    if (each.status === 'fulfilled') return 'OK';
    if (each.reason instanceof SiloError) return reasonName(each.reason.reason);
    throw each.reason;
  });
}
