/**
 * Runs at most `atOnce` tasks at a time; at most `waitingMax` others wait in a queue. Rejects a
 * further task with a RangeError.
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
    else if (line.length >= waitingMax)
      throw new RangeError(`${waitingMax} tasks are already waiting`);
    else await new Promise<void>((resolve) => line.push(resolve));
    try {
      return await run();
    } finally {
      leave();
    }
  };
}
