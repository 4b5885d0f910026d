import { type Clock, systemClock } from '@silo/runtime/clock.ts';

/** Shows at a terminal that an operation is in progress. */
export type Progress = { show(what: string): ShownProgress };
type ShownProgress = Disposable & { again: (why: string) => void };

const firstAfterMs = 400;
const everyMs = 200;
const eraseLine = '\r\u001b[2K';

/**
 * A line that counts seconds. It appears if the operation is not quick, and is erased at the end.
 */
export function lineProgress(
  stream: { write(text: string): unknown },
  clock: Clock = systemClock,
): Progress {
  return {
    show: (what) => {
      const startMs = clock.monotonicMs();
      let note = '';
      let drawn = false;
      const timer = setInterval(() => {
        const elapsedMs = clock.monotonicMs() - startMs;
        if (elapsedMs < firstAfterMs) return;
        stream.write(`${eraseLine}${what} … ${Math.round(elapsedMs / 1_000)} s${note}`);
        drawn = true;
      }, everyMs);
      return {
        again: (why) => {
          note = ` (${why}: retrying)`;
        },
        [Symbol.dispose]: () => {
          clearInterval(timer);
          if (drawn) stream.write(eraseLine);
        },
      };
    },
  };
}

/** Used where no person watches. */
export const noProgress: Progress = {
  show: () => ({ again: () => {}, [Symbol.dispose]: () => {} }),
};
