import { lead } from '@silo/log/leader.ts';
import { equalJitterMs } from '@silo/runtime/random.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { ServiceKit } from '@silo/service/service-definition.ts';
import { whyPutOff } from '../migration/region-failed.ts';
import { type PurgeDependencies, purgeSource } from '../purge/purge-source.ts';
import type { MigrationDocument } from '../store/documents.ts';
import { type MigrationStore, samePurge } from '../store/migrations.ts';

const intervalMs = 1_000;
/**
 * Maximum per other region: each purge holds some ranges of events in memory, and reads both
 * copies.
 */
const atOnceMax = 4;
/** Time for which calls to a region that does not answer are repeated. */
const patienceMs = 10 * 60 * 1_000;
/** Pauses before the next turn of a purge that has failed here. */
const pauses = { baseMs: 1_000, capMs: 60_000 };

type Dependencies = PurgeDependencies & {
  db: ServiceKit['db'];
  migrations: Pick<MigrationStore, 'purging' | 'putOff'>;
  /** Identifies this process; new at every start. */
  owner: string;
};

type Running = { region: string; ended: Promise<void> };

/**
 * Until the signal aborts, removes the events that migrations have left in this region, if staff
 * has requested it and the other region has all of them. One process does this. The purges of one
 * region do not wait for those of another.
 */
export async function purgeSources(dependencies: Dependencies, signal: AbortSignal): Promise<void> {
  const { db, owner, log } = dependencies;
  await lead({ db, name: 'purge-sources', owner, log, signal }, async (leadership) => {
    const running = new Map<string, Running>();
    const options = { name: 'purge-sources', intervalMs, signal: leadership.signal, log };
    await runForever(options, (turn) => beginDue(dependencies, running, turn));
    await Promise.all([...running.values()].map(({ ended }) => ended));
  });
}

/** Begins as many purges of each region as may run at once. */
async function beginDue(
  dependencies: Dependencies,
  running: Map<string, Running>,
  signal: AbortSignal,
): Promise<void> {
  const regions = () => [...running.values()].map(({ region }) => region);
  const isFull = (region: string) =>
    regions().filter((each) => each === region).length >= atOnceMax;
  const except = { ids: [...running.keys()], regions: [...new Set(regions())].filter(isFull) };
  for (const record of await dependencies.migrations.purging(except, atOnceMax, signal)) {
    const { _id, destinationRegion: region } = record;
    if (isFull(region)) continue;
    const ended = purge(dependencies, record, signal).finally(() => running.delete(_id));
    running.set(_id, { region, ended });
  }
}

/** Postpones a purge that fails here, so that others have their turn. Never rejects. */
async function purge(
  dependencies: Dependencies,
  record: MigrationDocument,
  signal: AbortSignal,
): Promise<void> {
  const { _id: migrationId, sourceRegion: here, destinationRegion: there, putOff } = record;
  const { migrations, log } = dependencies;
  try {
    await purgeSource(dependencies, record, { patienceMs, signal });
  } catch (error) {
    if (signal.aborted) return;
    const tries = (putOff?.tries ?? 0) + 1;
    const pauseMs = equalJitterMs(tries, pauses);
    log.warn({ migrationId, tries, pauseMs, err: error }, 'a purge is postponed');
    const why = whyPutOff(error, { here, there });
    await migrations
      .putOff(record, { tries, pauseMs, why }, samePurge(record), signal)
      .catch((err: unknown) => log.warn({ migrationId, err }, 'a purge could not be postponed'));
  }
}
