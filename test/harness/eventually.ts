import { setTimeout as pause } from 'node:timers/promises';

/**
 * Answers what `look` answers once it does not throw; past `withinMs` rejects with the last error.
 * How a test waits: for the condition, never for a time.
 */
export async function eventually<T>(look: () => Promise<T> | T, withinMs = 15_000): Promise<T> {
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
