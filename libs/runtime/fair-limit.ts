/** The owner of a waiting task, and the signal that ends its wait. */
type Turn = { owner: string; signal: AbortSignal };

type FairLimit = <T>(turn: Turn, run: () => Promise<T>) => Promise<T>;

type Owner = { running: number; line: Set<() => void> };

/**
 * Runs at most `atOnce` tasks at a time, and at most `ofOwner` of one owner; others wait. Waiting
 * owners take turns, so that one with many tasks does not delay another. Rejects a task with a
 * RangeError if `waitingOfOwner` tasks of its owner are waiting, and with the signal's reason if
 * that aborts while it waits.
 */
export function fairLimit({
  atOnce,
  ofOwner,
  waitingOfOwner,
}: {
  atOnce: number;
  ofOwner: number;
  waitingOfOwner: number;
}): FairLimit {
  /** Owners with tasks, in turn: the owner whose task began last is served last. */
  const owners = new Map<string, Owner>();
  let running = 0;

  const begin = (name: string, owner: Owner) => {
    running++;
    owner.running++;
    owners.delete(name);
    owners.set(name, owner);
  };

  const beginNext = () => {
    for (const [name, owner] of owners) {
      const [next] = owner.line;
      if (next === undefined || owner.running >= ofOwner) continue;
      owner.line.delete(next);
      begin(name, owner);
      next();
      return;
    }
  };

  const end = (name: string, owner: Owner) => {
    running--;
    owner.running--;
    forgetIdle(name, owner);
    beginNext();
  };

  const forgetIdle = (name: string, { running: ofThis, line }: Owner) => {
    if (ofThis === 0 && line.size === 0) owners.delete(name);
  };

  return async ({ owner: name, signal }, run) => {
    signal.throwIfAborted();
    const owner = owners.get(name) ?? { running: 0, line: new Set() };
    if (running < atOnce && owner.running < ofOwner) begin(name, owner);
    else if (owner.line.size >= waitingOfOwner) {
      throw new RangeError(`${waitingOfOwner} tasks of one owner are already waiting`);
    } else {
      owners.set(name, owner);
      await placeIn(owner.line, signal).catch((error: unknown) => {
        forgetIdle(name, owner);
        throw error;
      });
    }
    try {
      return await run();
    } finally {
      end(name, owner);
    }
  };
}

async function placeIn(line: Set<() => void>, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  line.add(resolve);
  const leave = () => {
    // A task that already has its place keeps it, and frees it at its end.
    if (line.delete(resolve)) reject(signal.reason);
  };
  signal.addEventListener('abort', leave, { once: true });
  try {
    await promise;
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
