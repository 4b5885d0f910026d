const deadlineMs = 10_000;

/**
 * Reads what is only shown beside something else: where that fails, or takes longer than the deadline,
 * the command goes on with `none`. `read` must obey its signal.
 */
export async function beside<Value>(
  read: (signal: AbortSignal) => Promise<Value>,
  none: Value,
  { signal, deadline = AbortSignal.timeout(deadlineMs) }: Within,
): Promise<Value> {
  try {
    return await read(AbortSignal.any([signal, deadline]));
  } catch {
    signal.throwIfAborted();
    return none;
  }
}

type Within = {
  /** Ends the command. */
  signal: AbortSignal;
  deadline?: AbortSignal;
};
