import { errors } from '@silo/errors/errors.ts';
import type { Call } from '@silo/rpc/call.ts';
import { type Clock, type Sleep, systemSleep } from '@silo/runtime/clock.ts';
import { race } from '@silo/runtime/deadline.ts';
import { createPlaces } from '@silo/runtime/places.ts';
import { isFinished } from '../rules/migration-states.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { MigrationStore } from '../store/migrations.ts';

const intervalMs = 500;
/** Limit for one account and process. */
const ofAccountMax = 10;
const durationMs = 10 * 60_000;
const retryMs = 10_000;
const readWithinMs = 10_000;

type Watched = { watchers: number; read(): Promise<MigrationDocument | undefined> };

/**
 * Yields a migration's record, and again after each change, until it is finished or the time limit
 * is reached. `see` checks each record for the caller. Refuses with RATE_LIMITED if the caller has
 * too many streams.
 */
export type Watching = (
  migrationId: string,
  call: Pick<Call, 'actor' | 'signal'>,
  see: (record: MigrationDocument | undefined) => Promise<MigrationDocument>,
) => AsyncGenerator<MigrationDocument>;

/** The streams of one process that watch migrations. They share the reads of a record. */
export function createWatching(
  migrations: Pick<MigrationStore, 'find'>,
  clock: Pick<Clock, 'monotonicMs'>,
  sleep: Sleep = systemSleep,
): Watching {
  const places = createPlaces({ ofOwner: ofAccountMax });
  const watched = new Map<string, Watched>();

  const read = (id: string) => migrations.find(id, AbortSignal.timeout(readWithinMs));

  const share = (id: string): Watched => {
    const shared = watched.get(id) ?? { watchers: 0, read: paced(() => read(id), clock, sleep) };
    watched.set(id, shared);
    return shared;
  };

  return async function* (id, { actor, signal }, see) {
    using _ = takePlace(places, actor);
    const endMs = clock.monotonicMs() + durationMs;
    const isOver = ({ state }: MigrationDocument) =>
      isFinished(state) || clock.monotonicMs() >= endMs;
    // Not a shared read: its timing would show an unauthorized caller that others watch.
    let record = await see(await race(read(id), signal));
    yield record;
    if (isOver(record)) return;
    const shared = share(id);
    shared.watchers++;
    try {
      do {
        const { revision } = record;
        record = await see(await race(shared.read(), signal));
        if (record.revision !== revision) yield record;
      } while (!isOver(record));
    } finally {
      if (--shared.watchers === 0) watched.delete(id);
    }
  };
}

function takePlace(places: ReturnType<typeof createPlaces>, actor: string): Disposable {
  try {
    return places.take(actor);
  } catch {
    throw errors.rateLimited('watches', retryMs);
  }
}

/** Reads at most once per interval. All callers that ask before a read begins share it. */
function paced<T>(
  read: () => Promise<T>,
  clock: Pick<Clock, 'monotonicMs'>,
  sleep: Sleep,
): () => Promise<T> {
  let next: Promise<T> | undefined;
  let dueMs = Number.NEGATIVE_INFINITY;
  const readWhenDue = async () => {
    await sleep(Math.max(0, dueMs - clock.monotonicMs()));
    next = undefined;
    dueMs = clock.monotonicMs() + intervalMs;
    return await read();
  };
  return () => {
    if (next === undefined) {
      next = readWhenDue();
      next.catch(() => {}); // its callers may have left
    }
    return next;
  };
}
