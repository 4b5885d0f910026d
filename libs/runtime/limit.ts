/**
 * Runs at most `atOnce` at a time; who comes meanwhile waits in line, and at most `waitingMax` do.
 * Beyond that a run is refused with a RangeError.
 */
export function limit({
  atOnce,
  waitingMax,
}: {
  atOnce: number;
  waitingMax: number;
}): <T>(run: () => Promise<T>) => Promise<T> {
  const line: (() => void)[] = [];
  let running = 0;

  const leave = () => {
    const next = line.shift();
    if (next === undefined) running--;
    else next();
  };

  return async (run) => {
    if (running < atOnce) running++;
    else if (line.length >= waitingMax) throw new RangeError(`${waitingMax} are waiting already`);
    else await new Promise<void>((resolve) => line.push(resolve));
    try {
      return await run();
    } finally {
      leave();
    }
  };
}
