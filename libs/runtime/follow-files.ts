import type { Log } from './log.ts';
import { runForever } from './run-forever.ts';

/** The contents of files, by name. */
export type Contents = Readonly<Record<string, Buffer>>;

/** Reading three small files every ten seconds costs little, and a rotation takes longer. */
const lookEveryMs = 10_000;

/**
 * Follows files that are replaced while the process uses them, such as certificates: reads them
 * every 10 s until `signal` aborts, and passes new contents to `accept`. If it throws, nothing
 * changes: the reason is logged once, and the contents are tried again at each check.
 */
export async function followFiles<T extends Contents>({
  name,
  read,
  accepted,
  accept,
  log,
  signal,
  intervalMs = lookEveryMs,
}: {
  /** The name of the files in the log. */
  name: string;
  read(): Promise<T>;
  /** The result that is in use at the beginning. */
  accepted: T;
  accept(contents: T): void | Promise<void>;
  log: Log;
  signal: AbortSignal;
  intervalMs?: number | undefined;
}): Promise<void> {
  let current = accepted;
  let refusal: string | undefined;
  await runForever({ name: `follow ${name}`, intervalMs, signal, log }, async () => {
    try {
      const contents = await read();
      if (!areSame(contents, current)) {
        await accept(contents);
        current = contents;
        log.info({ name }, 'replaced files are in use');
      }
      refusal = undefined;
    } catch (error) {
      const reason = String(error);
      if (reason === refusal || signal.aborted) return;
      refusal = reason;
      log.warn(
        { name, err: error },
        'replaced files cannot be used; what was read before stays in use',
      );
    }
  });
}

function areSame(some: Contents, others: Contents): boolean {
  const names = Object.keys(some);
  return (
    names.length === Object.keys(others).length &&
    names.every((name) => others[name]?.equals(some[name] ?? Buffer.of()))
  );
}
