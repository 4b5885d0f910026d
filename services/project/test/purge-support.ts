import { EventFilter } from '@silo/protos/gen/silo/project/v1/event.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import { newId } from '@silo/tokens/ids.ts';
import type { ExecutionContext } from 'ava';
import { Binary } from 'mongodb';
import { hashRanges } from '../handlers/peer/hash-ranges.ts';
import { notePurge } from '../handlers/peer/note-purge.ts';
import { describeProject } from '../handlers/peer/offers.ts';
import { readDeletions } from '../handlers/peer/read-deletions.ts';
import { createRegionStreams } from '../handlers/peer/region-streams.ts';
import { type PurgeDependencies, purgeSource } from '../purge/purge-source.ts';
import type { MigrationDocument, ProjectDocument } from '../store/documents.ts';
import type { EventDeletionDocument } from '../store/event-deletions.ts';
import { createEventEstimate } from '../store/event-estimate.ts';
import { createEventRemoval } from '../store/event-removal.ts';
import { createMigratingProjectStore } from '../store/migrating-projects.ts';
import { createMigrationSource } from '../store/migration-source.ts';
import { migrationCollection } from '../store/migrations.ts';
import { captured, insert } from './event-support.ts';
import { eventsOf } from './migration-copy-support.ts';
import { fromRegion, offered } from './migration-support.ts';
import { testWorld, type World } from './support.ts';

const { MIGRATION_STATE_DONE: done } = MigrationState;
const { PROJECT_STATE_ACTIVE: active, PROJECT_STATE_MIGRATED: migrated } = ProjectState;
export const dayMs = 24 * 60 * 60 * 1_000;
export const eventCount = 30;

/** A project that has migrated from `us` to `eu`, whose purge has begun. */
export type Migrated = {
  us: World;
  eu: World;
  projectId: string;
  /** The client of `eu` in `us`. */
  client: Partial<RegionClient>;
  /** Runs the purge. Returns the failure in the source's record, and its number of events. */
  purge(
    client?: Partial<RegionClient>,
    patienceMs?: number,
  ): Promise<{ failure: string | undefined; left: number }>;
  /** Stores a deletion in `eu` that has removed nothing. */
  deleteThere(filter: EventFilter, generation?: number): Promise<void>;
  purgeTimes(): Promise<(Date | undefined)[]>;
  /** The source's record. */
  record: MigrationDocument;
  /** The dependencies of a purge of the source. */
  purging: PurgeDependencies & World;
};

export async function migratedProject(t: ExecutionContext): Promise<Migrated> {
  const [us, eu] = [await offered(t), await testWorld(t)];
  const { migration } = us;
  const { projectId, _id: migrationId } = migration;
  const sample = Array.from({ length: eventCount }, (_, index) =>
    captured({ index, plan: 'free' }, -index * dayMs),
  );
  for (const { captured: store } of [us, eu]) await insert(store, projectId, sample);
  const projects = (world: World) => world.db.collection<ProjectDocument>('projects');
  const left = await projects(us).findOneAndUpdate(
    { _id: projectId },
    { $set: { state: migrated, eventGeneration: 1 } },
    { returnDocument: 'after' },
  );
  if (left === null) throw new Error('no project');
  await projects(eu).insertOne({ ...left, state: active, cameBy: migrationId });
  const migratedTo = { region: 'eu', organizationId: migration.destinationOrganizationId };
  await projects(us).updateOne({ _id: projectId }, { $set: { migratedTo } });
  const record: MigrationDocument = { ...migration, state: done, isPurging: true };
  await migrationCollection(us.db).replaceOne({ _id: migrationId }, record);
  const { isOpen: _, isPurging: __, ...there } = { ...record, side: 'destination' as const };
  await migrationCollection(eu.db).insertOne(there);
  const dependencies = {
    ...eu,
    deletions: eu.eventDeletions,
    streams: createRegionStreams(),
    migratingProjects: createMigratingProjectStore(eu.db),
    estimateEvents: createEventEstimate(eu.db),
    migrationSource: createMigrationSource({ db: eu.db, clock: systemClock }),
  };
  const fromUs = (options?: { signal?: AbortSignal | undefined }) =>
    fromRegion('us', options?.signal);
  const client: Partial<RegionClient> = {
    describeProject: (request, options) => describeProject(request, fromUs(options), dependencies),
    hashRanges: (request, options) => hashRanges(request, fromUs(options), dependencies),
    readDeletions: (request, options) => readDeletions(request, fromUs(options), dependencies),
    notePurge: (request, options) => notePurge(request, fromUs(options), dependencies),
  };
  const purging = {
    ...us,
    migratingProjects: createMigratingProjectStore(us.db),
    removal: createEventRemoval(us.db),
    deletions: us.eventDeletions,
    migrationSource: createMigrationSource({ db: us.db, clock: systemClock }),
    regions: new Map([['eu', client as RegionClient]]),
    log: silentLogger(),
  };
  return {
    ...{ us, eu, projectId, client, record, purging },
    purge: async (others = {}, patienceMs = 1) => {
      const regions = new Map([['eu', { ...client, ...others } as RegionClient]]);
      const options = { patienceMs, signal: AbortSignal.timeout(600_000) };
      const find = () => migrationCollection(us.db).findOne({ _id: migrationId });
      await purgeSource({ ...purging, regions }, (await find()) ?? record, options);
      const now = await find();
      t.falsy(now?.isOpen || now?.isPurging, 'the purge has an end');
      return { failure: now?.failure, left: await eventsOf(us.db).countDocuments() };
    },
    deleteThere: async (filter, generation = 2) => {
      const deletion = { ...deletionOf(projectId, filter), generation, finishTime: new Date() };
      await eu.db.collection<EventDeletionDocument>('event_deletions').insertOne(deletion);
    },
    purgeTimes: async () =>
      await Promise.all(
        [us, eu].map(async ({ db }) => {
          const found = await migrationCollection(db).findOne({ _id: migrationId });
          return found?.purgeTime;
        }),
      ),
  };
}

/** A deletion that has removed nothing, and is not finished. */
export function deletionOf(
  projectId: string,
  filter = EventFilter.fromPartial({}),
): EventDeletionDocument {
  return {
    ...{ _id: newId('evd'), projectId, generation: 2, actorAccountId: newId('acc') },
    filter: Buffer.from(EventFilter.encode(filter).finish()),
    ...{ createTime: new Date(), removedCount: 0 },
  };
}

/** The events of a world whose property `index` is one of these. */
export function withIndex({ db }: World, ...indexes: number[]) {
  const properties = { $in: indexes.map((index) => textOf({ index, plan: 'free' })) };
  return { events: eventsOf(db), filter: { properties } as object };
}

function textOf(properties: object): Binary {
  return new Binary(Buffer.from(JSON.stringify(properties)));
}
