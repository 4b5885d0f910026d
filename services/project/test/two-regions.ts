import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { systemClock, systemSleep } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import type { ExecutionContext } from 'ava';
import { abortCutover, beginCutover, commitCutover } from '../handlers/peer/cutover.ts';
import { hashRanges } from '../handlers/peer/hash-ranges.ts';
import { noteProgress } from '../handlers/peer/note-progress.ts';
import { cancelOffer, describeProject, getOffer } from '../handlers/peer/offers.ts';
import { pullEvents } from '../handlers/peer/pull-events.ts';
import { readDeletions } from '../handlers/peer/read-deletions.ts';
import { readRange } from '../handlers/peer/read-range.ts';
import { createRegionStreams } from '../handlers/peer/region-streams.ts';
import { openCopy } from '../migration/copy.ts';
import type { WorkDependencies } from '../migration/work.ts';
import type { MigrationDocument, ProjectDocument } from '../store/documents.ts';
import { createEventEstimate } from '../store/event-estimate.ts';
import { createEventRemoval } from '../store/event-removal.ts';
import { createMigratingProjectStore } from '../store/migrating-projects.ts';
import { createMigrationCopyStore } from '../store/migration-copy.ts';
import { createMigrationSource } from '../store/migration-source.ts';
import { migrationCollection } from '../store/migrations.ts';
import { captured, insert } from './event-support.ts';
import { fromEu, type Offered, offered } from './migration-support.ts';
import { testWorld, type World } from './support.ts';

const { PROJECT_STATE_ACTIVE: active, PROJECT_STATE_MIGRATED: migrated } = ProjectState;
const { MIGRATION_STATE_COPYING: copying, MIGRATION_STATE_DONE: done } = MigrationState;

/** Number of events of the source. */
export const eventCount = 40;

/** Two regions, one of which drives a migration from the other. */
export type TwoRegions = {
  us: Offered;
  eu: World;
  dependencies: WorkDependencies;
  tokens: string[];
  /** Migrations that cannot bring a token any more, and have kept the present one. */
  ended: string[];
  limit: number;
};

/** A project with events in `us`, and the record of its migration in `eu`, which has begun. */
export async function twoRegions(t: ExecutionContext, { limit = 2 } = {}): Promise<TwoRegions> {
  const [us, eu] = [await offered(t), await testWorld(t)];
  const { projectId } = us.migration;
  const batch = Array.from({ length: eventCount }, (_, index) => captured({ index }, -index));
  await insert(us.captured, projectId, batch);
  const { id: organizationId } = await eu.organization(eu.key(), { region: 'eu', limit });
  await eu.db
    .collection<{ _id: string }>('slots')
    .updateOne({ _id: organizationId }, { $set: { migrations: true } });
  const to = { destinationOrganizationId: organizationId };
  await migrationCollection(us.db).updateOne({ _id: us.migration._id }, { $set: to });
  const record: MigrationDocument = {
    ...{ ...us.migration, ...to, side: 'destination', organizationId, state: copying },
    startTime: new Date(),
  };
  await migrationCollection(eu.db).insertOne(record);
  const tokens: string[] = [];
  const ended: string[] = [];
  const secrets: WorkDependencies['secrets'] = {
    adoptProjectToken: async ({ token }) => {
      tokens.push(token);
      return {};
    },
    purgeProjectToken: async () => {
      tokens.length = 0;
      return {};
    },
    endProjectTokenAdoption: async ({ correlationId }) => {
      ended.push(correlationId);
      return {};
    },
  };
  const dependencies: WorkDependencies = {
    ...eu,
    ...{ secrets, regions: new Map([['us', clientOf(us)]]) },
    migratingProjects: createMigratingProjectStore(eu.db),
    copies: createMigrationCopyStore(eu.db),
    migrationSource: createMigrationSource({ db: eu.db, clock: systemClock }),
    removal: createEventRemoval(eu.db),
    metrics: { copied: () => {} },
    propagate: async () => ({ positions: [], elapsed: undefined }),
    ...{ openCopy, clock: systemClock, sleep: systemSleep, log: silentLogger() },
  };
  return { us, eu, dependencies, tokens, ended, limit };
}

/** The destination's client of the source. */
function clientOf({ dependencies, db, eventDeletions }: Offered): RegionClient {
  const reading = {
    ...dependencies,
    deletions: eventDeletions,
    estimateEvents: createEventEstimate(db),
    migrationSource: createMigrationSource({ db, clock: systemClock }),
    streams: createRegionStreams(),
  };
  const client: Partial<RegionClient> = {
    getOffer: (request, options) => getOffer(request, fromEu(options?.signal), dependencies),
    describeProject: (request, options) =>
      describeProject(request, fromEu(options?.signal), reading),
    noteProgress: (request, options) =>
      noteProgress(request, fromEu(options?.signal), dependencies),
    cancelOffer: (request, options) => cancelOffer(request, fromEu(options?.signal), dependencies),
    beginCutover: (request, options) =>
      beginCutover(request, fromEu(options?.signal), dependencies),
    commitCutover: (request, options) =>
      commitCutover(request, fromEu(options?.signal), dependencies),
    abortCutover: (request, options) =>
      abortCutover(request, fromEu(options?.signal), dependencies),
    pullEvents: (request, options) => pullEvents(request, fromEu(options?.signal), reading),
    readRange: (request, options) => readRange(request, fromEu(options?.signal), reading),
    hashRanges: (request, options) => hashRanges(request, fromEu(options?.signal), reading),
    readDeletions: (request, options) => readDeletions(request, fromEu(options?.signal), reading),
  };
  return client as RegionClient;
}

/** The project at both ends, and the destination's record and events. */
export async function stateIn({ us, eu }: TwoRegions) {
  const { projectId: _id, _id: migrationId } = us.migration;
  const projects = eu.db.collection<ProjectDocument>('projects');
  return {
    source: await us.project(),
    destination: await projects.findOne({ _id }),
    record: await migrationCollection(eu.db).findOne({ _id: migrationId }),
    events: await eu.db.collection('captured_events').countDocuments({ '_id.project': _id }),
  };
}

/** Demands that the project is in use only here, with all its events, token and slot. */
export async function hasMoved(
  t: ExecutionContext,
  regions: TwoRegions,
  count = eventCount,
): Promise<void> {
  const { us, eu, tokens } = regions;
  const { source, destination, record, events } = await stateIn(regions);
  t.deepEqual([source?.state, destination?.state], [migrated, active]);
  t.like(record, { state: done, isOpen: undefined, hasSlot: undefined });
  t.is(destination?.cameBy, us.migration._id);
  t.is(events, count);
  t.is(tokens.at(-1), 'phc_test');
  const organizationId = destination?.organizationId ?? '';
  t.is((await eu.slots.getMany([organizationId], signal())).get(organizationId)?.count, 2);
  t.like(await us.record(), { state: done });
  t.is((await us.events('migrated')).length, 1);
  t.is((await eu.events('migrated')).length, 1);
}

export const signal = () => AbortSignal.timeout(600_000);
