import { lead } from '@silo/log/leader.ts';
import { FactServiceService } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { RegionDirectoryServiceService } from '@silo/protos/gen/silo/project/internal/v1/region_directory_service.ts';
import { SlotServiceService } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import { EventServiceService } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { ProjectServiceService } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { mount } from '@silo/rpc/mount.ts';
import { createReading } from '@silo/rpc/reading.ts';
import type { ServiceDefinition, ServiceKit } from '@silo/service/service-definition.ts';
import { ulid } from 'ulid';
import type { CaptureDependencies } from './capture/capture-batch.ts';
import { DeadTokenCounter, type DeadTokenRequest } from './capture/dead-token-counter.ts';
import { Storing } from './capture/storing.ts';
import { openEdgeOf } from './edge/open-edge-of.ts';
import { batchMoveProjects } from './handlers/batch-move-projects.ts';
import { captureEvents } from './handlers/capture-events.ts';
import { countEvents } from './handlers/count-events.ts';
import { createProject } from './handlers/create-project.ts';
import { createRecommendedProjects } from './handlers/create-recommended-projects.ts';
import { deadTokenReport } from './handlers/dead-token-report.ts';
import { deleteEvents } from './handlers/delete-events.ts';
import { deleteProject } from './handlers/delete-project.ts';
import type { Dependencies } from './handlers/dependencies.ts';
import { createExporting, exportEvents } from './handlers/export-events.ts';
import { finalizeMove } from './handlers/finalize-move.ts';
import { getEventDeletion } from './handlers/get-event-deletion.ts';
import { getMove } from './handlers/get-move.ts';
import { getProject } from './handlers/get-project.ts';
import { getUsage } from './handlers/get-usage.ts';
import { getProjectFact } from './handlers/internal/facts.ts';
import { locateProject } from './handlers/internal/locate.ts';
import { getSlots, openSlots, tryCloseSlots, trySetLimit } from './handlers/internal/slots.ts';
import { listMoveDestinations } from './handlers/list-move-destinations.ts';
import { listMoves } from './handlers/list-moves.ts';
import { listProjects } from './handlers/list-projects.ts';
import { moveProject } from './handlers/move-project.ts';
import { previewMove } from './handlers/preview-move.ts';
import { queryEvents } from './handlers/query-events.ts';
import { searchProjects } from './handlers/search-projects.ts';
import { createReadMoveAccess } from './handlers/shared/read-move-access.ts';
import { undeleteProject } from './handlers/undelete-project.ts';
import { undoMove } from './handlers/undo-move.ts';
import { updateProject } from './handlers/update-project.ts';
import { buildPropertyIndexes } from './loops/build-property-indexes.ts';
import { endRetention } from './loops/end-retention.ts';
import { foldUsage } from './loops/fold-usage.ts';
import { purgeProjects } from './loops/purge-projects.ts';
import { removeDeletedEvents } from './loops/remove-deleted-events.ts';
import { reportDeadTokens } from './loops/report-dead-tokens.ts';
import { measureMigrations } from './migration-metrics.ts';
import { migrationParts } from './mount-migrations.ts';
import { createProjectsSaga } from './sagas/create-projects.ts';
import { createCapturedEventStore } from './store/captured-events.ts';
import { createDeadTokenStore, type DeadTokenStore } from './store/dead-tokens.ts';
import { createEventCounts } from './store/event-counts.ts';
import { createEventDeletionStore, type EventDeletionStore } from './store/event-deletions.ts';
import { createEventQueries } from './store/event-queries.ts';
import { createMigratingProjectStore } from './store/migrating-projects.ts';
import { openMigrations } from './store/migration-summary.ts';
import { createMigrationStore } from './store/migrations.ts';
import { createMoveStore } from './store/moves.ts';
import { createProjectStore, type ProjectStore } from './store/projects.ts';
import { createPropertyIndexStore, type PropertyIndexStore } from './store/property-indexes.ts';
import { createRetentionStore } from './store/retention.ts';
import { storeMigrations } from './store/set-up.ts';
import { createSlotStore } from './store/slots.ts';
import { createUsageStore, type UsageStore } from './store/usage.ts';

/** It runs every ten minutes: its lease need not be renewed often. */
const retentionLeader = {
  name: 'retention',
  timing: { leaseMs: 60_000, renewMs: 20_000, marginMs: 15_000 },
};

/** Serves projects, and the slots of their organizations. */
export const projectService: ServiceDefinition = {
  name: 'project',
  migrations: storeMigrations,
  factReader: (db) => ({ project: createProjectStore(db).fact }),
  build: (kit) => {
    const projects = createProjectStore(kit.db);
    const usage = createUsageStore(kit.db);
    const deletions = createEventDeletionStore(kit.db);
    const events = createCapturedEventStore(kit.db, usage, deletions);
    const deadTokens = createDeadTokenStore(kit.db);
    const deadTokenCounter = new DeadTokenCounter(kit.clock);
    const capture = { storing: new Storing(events), clock: kit.clock };
    const onDeadToken = (request: DeadTokenRequest) => deadTokenCounter.record(request);
    const { secrets, directory } = kit.peers.token;
    const reporting = { ...kit, deadTokenCounter, deadTokens, directory };
    const edge = {
      loops: [(signal: AbortSignal) => reportDeadTokens(reporting, signal)],
      openOther: openEdgeOf(kit, {
        ...{ capture, projects, directory, onDeadToken },
        migratingProjects: createMigratingProjectStore(kit.db),
      }),
      onTokenRefused: onDeadToken,
    };
    if (kit.config.role === 'edge') return { public: [], internal: [], ...edge, relays: false };
    const dependencies = dependenciesOf(kit, projects);
    const metrics = measureMigrations(kit.metrics, () => openMigrations(kit.db));
    const { migrations } = dependencies;
    const indexes = createPropertyIndexStore(kit);
    const purging = {
      ...kit,
      projects,
      events,
      deadTokens,
      deletions,
      indexes,
      migrations,
      secrets,
    };
    const removing = { ...kit, deletions };
    const building = { ...kit, indexes, owner: ulid().toLowerCase() };
    const migrating = migrationParts(kit, dependencies, {
      ...{ events, deletions, indexes, capture, onDeadToken, metrics },
    });
    return {
      ...edge,
      public: [
        mountPublic(dependencies),
        mountEvents(kit, dependencies, { ...capture, usage, deadTokens, deletions, indexes }),
        migrating.public,
      ],
      internal: [
        ...mountInternal(dependencies),
        mountRegionDirectory(kit, dependencies),
        ...migrating.internal,
      ],
      loops: [
        (signal) => purgeProjects(purging, signal),
        (signal) => buildPropertyIndexes(building, signal),
        (signal) => foldUsage({ ...kit, usage }, signal),
        (signal) =>
          lead({ ...kit, ...retentionLeader, owner: ulid().toLowerCase(), signal }, (leadership) =>
            endRetention({ ...kit, retention: createRetentionStore(kit.db) }, leadership.signal),
          ),
        (signal) => removeDeletedEvents(removing, signal),
        ...migrating.loops,
        ...edge.loops,
      ],
    };
  },
};

function dependenciesOf(kit: ServiceKit, projects: ProjectStore): Dependencies {
  const { db, eventLog, access, peers, regions, createSagas } = kit;
  const createProjects = createProjectsSaga(peers.token);
  return {
    projects,
    slots: createSlotStore(db),
    moves: createMoveStore(db),
    migrations: createMigrationStore(db),
    region: kit.config.region,
    regions,
    eventLog,
    access,
    peers,
    readMoveAccess: createReadMoveAccess(peers),
    reading: createReading('large_reads'),
    createProjects,
    sagas: createSagas([createProjects]),
  };
}

function mountPublic(dependencies: Dependencies) {
  return mount(
    ProjectServiceService,
    {
      createProject,
      getProject,
      listProjects,
      searchProjects,
      updateProject,
      deleteProject,
      createRecommendedProjects,
      listMoveDestinations,
      previewMove,
      moveProject,
      batchMoveProjects,
      getMove,
      listMoves,
      undoMove,
      finalizeMove,
      undeleteProject,
    },
    dependencies,
  );
}

function mountEvents(
  { db }: ServiceKit,
  dependencies: Dependencies,
  ofEvents: CaptureDependencies & {
    usage: UsageStore;
    deadTokens: DeadTokenStore;
    deletions: EventDeletionStore;
    indexes: PropertyIndexStore;
  },
) {
  return mount(
    EventServiceService,
    {
      captureEvents,
      queryEvents,
      countEvents,
      exportEvents,
      deleteEvents,
      getEventDeletion,
      getUsage,
      deadTokenReport,
    },
    {
      ...{ ...dependencies, ...ofEvents },
      queries: createEventQueries(db),
      exporting: createExporting(),
      reading: createReading('event_reads'),
      counts: createEventCounts(db),
    },
  );
}

function mountRegionDirectory(
  { db, config, peers, regions }: ServiceKit,
  { projects }: Dependencies,
) {
  const { region } = config;
  const dependencies = { region, projects, migrations: createMigrationStore(db), peers, regions };
  return mount(RegionDirectoryServiceService, { locateProject }, dependencies);
}

function mountInternal(dependencies: Dependencies) {
  return [
    mount(FactServiceService, { getProjectFact }, dependencies),
    mount(
      SlotServiceService,
      {
        openSlots,
        trySetLimit,
        tryCloseSlots,
        getSlots,
      },
      dependencies,
    ),
  ];
}
