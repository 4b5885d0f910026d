import { prepare, testDatabase } from '@silo/mongo/test/support.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { type Clock, systemClock } from '@silo/runtime/clock.ts';
import { type Log, silentLogger } from '@silo/runtime/log.ts';
import { newId } from '@silo/tokens/ids.ts';
import type { ExecutionContext } from 'ava';
import type { Collection, Db } from 'mongodb';
import { eventually } from '../../../test/harness/eventually.ts';
import { pullEvents } from '../handlers/peer/pull-events.ts';
import type { SourceDependencies } from '../handlers/peer/read-events.ts';
import { readRange } from '../handlers/peer/read-range.ts';
import { createRegionStreams } from '../handlers/peer/region-streams.ts';
import { openCopy } from '../migration/copy.ts';
import type { Copy, CopyOptions, CopySource } from '../migration/copy-types.ts';
import type { CheckedEvent } from '../rules/events/check-event.ts';
import { newMigration } from '../rules/new-migration.ts';
import { createCapturedEventStore } from '../store/captured-events.ts';
import type { CapturedEventDocument } from '../store/event-collection.ts';
import { createEventDeletionStore } from '../store/event-deletions.ts';
import { createMigrationSource } from '../store/migration-source.ts';
import { storeMigrations } from '../store/set-up.ts';
import { createUsageStore } from '../store/usage.ts';
import { captured, insert } from './event-support.ts';
import { fromEu } from './migration-support.ts';

/** The timeout of a test's waits. */
export const signal = () => AbortSignal.timeout(600_000);
/** About thirty of these events fill a range. */
export const text = 'x'.repeat(32_768);

/** The databases of two regions, and a copy of a project from one to the other. */
export type CopyWorld = {
  source: Db;
  destination: Db;
  projectId: string;
  migrationId: string;
  /** The destination's client of the source. */
  peer: CopySource;
  dependencies: SourceDependencies;
  capture(events: readonly CheckedEvent[], projectId?: string): Promise<void>;
  /** A process that copies until the test ends, or the signal aborts. */
  start(options?: StartOptions): Promise<{ copy: Copy; running: Promise<unknown> }>;
};

type StartOptions = {
  fence?: number;
  digestsOnly?: boolean;
  peer?: CopySource;
  signal?: AbortSignal;
  log?: Log;
  clock?: Clock;
  spare?: CopyOptions['spare'];
  rate?: CopyOptions['rate'];
  sleep?: CopyOptions['sleep'];
  mayRemove?: CopyOptions['mayRemove'];
};

export async function copyWorld(t: ExecutionContext): Promise<CopyWorld> {
  const [source, destination] = [await ownDatabase(t), await ownDatabase(t)];
  const [projectId, migrationId] = [newId('prj'), newId('mig_us')];
  const record = newMigration({
    ...{ _id: migrationId, side: 'source', state: MigrationState.MIGRATION_STATE_COPYING },
    ...{ projectId, projectName: 'Copied', sourceRegion: 'us', destinationRegion: 'eu' },
    ...{ sourceOrganizationId: newId('org_us'), destinationOrganizationId: newId('org_eu') },
    ...{ actor: '', requesterAccountId: '', requestTime: new Date(), eventsTotal: undefined },
  });
  const dependencies: SourceDependencies = {
    migrationSource: createMigrationSource({ db: source, clock: systemClock }),
    streams: createRegionStreams(),
    migrations: { find: async () => record },
  };
  const store = createCapturedEventStore(
    source,
    createUsageStore(source),
    createEventDeletionStore(source),
  );
  const stop = new AbortController();
  const peer = connected(dependencies);
  return {
    ...{ source, destination, projectId, migrationId, peer, dependencies },
    capture: async (events, id = projectId) => {
      await insert(store, id, events);
    },
    start: async ({
      fence = 1,
      digestsOnly = false,
      signal,
      log = silentLogger(),
      ...rest
    } = {}) => {
      const until = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
      const migration = { id: migrationId, projectId, digestsOnly };
      const options = { db: destination, peer, migration, fence, log, clock: systemClock, ...rest };
      const copy = await openCopy(options, until);
      const running = copy.run(until).catch((error: unknown) => error);
      t.teardown(async () => {
        stop.abort();
        await running;
      });
      return { copy, running };
    },
  };
}

async function ownDatabase(t: ExecutionContext): Promise<Db> {
  const { db } = await (await testDatabase(t)).connect();
  await prepare(db, storeMigrations);
  return db;
}

/** The handlers of a source as a client. */
function connected(dependencies: SourceDependencies): CopySource {
  const never = new AbortController().signal;
  return {
    pullEvents: (request, { signal = never } = {}) =>
      pullEvents(request, fromEu(signal), dependencies),
    readRange: (request, { signal = never } = {}) =>
      readRange(request, fromEu(signal), dependencies),
  };
}

/** The collection of captured events of a database. */
export function eventsOf(db: Db): Collection<CapturedEventDocument> {
  return db.collection<CapturedEventDocument>('captured_events');
}

/** The bytes of every event of a database, in sorted order. */
export async function bytesOfEvents(db: Db): Promise<string[]> {
  const found = await eventsOf(db).find<Uint8Array>({}, { raw: true }).toArray();
  return found.map((document) => Buffer.from(document).toString('base64')).sort();
}

/** Writes the fence of an attempt. */
export async function writeFence({ source, migrationId }: CopyWorld, attempt: number) {
  await source
    .collection<{ _id: string }>('project_migrations')
    .updateOne(
      { _id: migrationId },
      { $set: { fencedAttempt: attempt, state: MigrationState.MIGRATION_STATE_CUTOVER } },
      { upsert: true },
    );
}

/** Events one day apart, oldest first. */
export function old(count: number) {
  return Array.from({ length: count }, (_, day) =>
    captured({ text, day }, (day - count) * 86_400_000),
  );
}

/** Waits until both databases have the same events, byte by byte. */
export async function untilEqual({ source, destination }: CopyWorld): Promise<string[]> {
  return await eventually(async () => {
    const [theirs, ours] = [await bytesOfEvents(source), await bytesOfEvents(destination)];
    if (theirs.join() !== ours.join()) throw new Error(`${ours.length} of ${theirs.length} events`);
    return ours;
  });
}
