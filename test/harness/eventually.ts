import { setTimeout as pause } from 'node:timers/promises';

/**
 * Far beyond what a slow, busy machine takes. It costs nothing where the condition comes true: only
 * a failing test waits so long.
 */
const withinDefaultMs = 120_000;

/**
 * Answers what `look` answers once it does not throw; past `withinMs` rejects with the last error.
 * How a test waits: for the condition, never for a time.
 */
export async function eventually<T>(
  look: () => Promise<T> | T,
  withinMs = withinDefaultMs,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await pause(25);
  }
}
