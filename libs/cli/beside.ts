const deadlineMs = 10_000;

/**
 * Reads something that is only shown beside the answer. If that fails or takes longer than the
 * deadline, the command continues with `none`. `read` must obey its signal.
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
  /** Aborts when the command shall end. */
  signal: AbortSignal;
  deadline?: AbortSignal;
};
