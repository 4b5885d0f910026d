import type { EventLog } from '@silo/log/event-log.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { Regions } from '@silo/service/regions.ts';
import { Cancelled, noteAtSource } from '../migration/report-progress.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { MigrationStore, OpenRecords } from '../store/migrations.ts';
import { each } from './each.ts';
import { inPages } from './in-pages.ts';

const intervalMs = 5_000;
/** Maximum number of records in one turn. */
const recordsMax = 100;
/** Maximum number of concurrent calls to one other region. */
const atOnceMax = 4;

const { MIGRATION_STATE_ACCEPTED: accepted, MIGRATION_STATE_FAILED: failed } = MigrationState;
const { MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;

type Dependencies = {
  migrations: Pick<MigrationStore, 'openAfter' | 'find' | 'become'>;
  eventLog: Pick<EventLog, 'decide'>;
  regions: Regions;
  log: Log;
};

/**
 * Asks the sources of migrations that wait for staff whether they still offer them, until the
 * signal aborts. Every replica does this. A region that does not answer delays no other region.
 */
export async function followOffers(dependencies: Dependencies, signal: AbortSignal): Promise<void> {
  const options = { name: 'follow-offers', intervalMs, signal, log: dependencies.log };
  const regions = [...dependencies.regions.keys()];
  await Promise.all(regions.map((region) => runForever(options, following(dependencies, region))));
}

/**
 * Takes one turn per call, each with the next page of the offers of one region.
 * @internal Exported for tests.
 */
export function following(
  dependencies: Dependencies,
  region: string,
): (signal: AbortSignal) => Promise<void> {
  const states = [accepted, failed];
  const offers: OpenRecords = { side: 'destination', states, sourceRegion: region };
  const next = inPages(recordsMax, (after, signal) =>
    dependencies.migrations.openAfter(after, offers, recordsMax, signal),
  );
  return async (signal) =>
    await each(await next(signal), atOnceMax, (record) => look(dependencies, record, signal));
}

async function look(
  dependencies: Dependencies,
  { _id, revision }: MigrationDocument,
  signal: AbortSignal,
): Promise<void> {
  const record = await dependencies.migrations.find(_id, signal);
  // An outdated record would replace, at the source, newer reports of the process that works on it.
  if (record?.revision !== revision) return;
  try {
    await noteAtSource({ dependencies, signal }, record);
  } catch (error) {
    if (!(error instanceof Cancelled)) throw error;
    const { failure } = error;
    const mutation = { id: record._id, actor: record.actor, signal, authorization: undefined };
    await dependencies.eventLog.decide(mutation, async (tx) => {
      const values = { finishTime: tx.now, ...(failure !== '' && { failure }) };
      await dependencies.migrations.become(tx, record, cancelled, values);
    });
  }
}
