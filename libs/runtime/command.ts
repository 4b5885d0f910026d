const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A signal that asks a command to end. */
export type EndSignal = (typeof signals)[number];

/** Aborts with this reason at the first signal; any second one ends the process at once. */
export function abortAtSignal(reasonOf: (signal: EndSignal) => Error): AbortSignal {
  const controller = new AbortController();
  const end = (signal: EndSignal) => {
    restoreSignals();
    controller.abort(reasonOf(signal));
  };
  for (const each of signals) process.on(each, end);
  return controller.signal;
}

/**
 * Ends a command with this exit code once its output is written, or at once at a signal. Waits for
 * nothing else, because a connection to a paused process would not close.
 */
export async function endProcess(code: number): Promise<never> {
  restoreSignals();
  await Promise.all([written(process.stdout), written(process.stderr)]);
  process.exit(code);
}

/** From now on, each of these signals ends the process. */
function restoreSignals(): void {
  for (const each of signals) process.removeAllListeners(each);
}

/** Settles when all output was written, or cannot be written. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}
