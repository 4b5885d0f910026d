import { MigrationPeerServiceService } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { MigrationStaffServiceService } from '@silo/protos/gen/silo/project/internal/v1/migration_staff_service.ts';
import { MigrationServiceService } from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import { type Mounted, mount } from '@silo/rpc/mount.ts';
import { RateLimits } from '@silo/rpc/rate-limits.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { portLimitsOf } from '@silo/service/config.ts';
import type { ServiceKit } from '@silo/service/service-definition.ts';
import { ulid } from 'ulid';
import type { CaptureDependencies } from './capture/capture-batch.ts';
import type { DeadTokenRequest } from './capture/dead-token-counter.ts';
import { acceptMigration } from './handlers/accept-migration.ts';
import { cancelMigration } from './handlers/cancel-migration.ts';
import type { Dependencies } from './handlers/dependencies.ts';
import { getMigration } from './handlers/get-migration.ts';
import {
  cancelMigration as cancelByStaff,
  getMigration as getByStaff,
  listMigrations as listByStaff,
  retryMigration,
  setMigrationRate,
  startMigration,
  watchMigration as watchByStaff,
} from './handlers/internal/migration-staff.ts';
import { purgeSource } from './handlers/internal/purge-source.ts';
import { rollbackMigration } from './handlers/internal/rollback-migration.ts';
import { listMigrations } from './handlers/list-migrations.ts';
import { abortCutover, beginCutover, commitCutover } from './handlers/peer/cutover.ts';
import { forwardCapture } from './handlers/peer/forward-capture.ts';
import { hashRanges } from './handlers/peer/hash-ranges.ts';
import { locateHere } from './handlers/peer/locate-here.ts';
import { noteProgress } from './handlers/peer/note-progress.ts';
import { notePurge } from './handlers/peer/note-purge.ts';
import { offerRollback } from './handlers/peer/offer-rollback.ts';
import { cancelOffer, describeProject, getOffer, peekDestination } from './handlers/peer/offers.ts';
import { pullEvents } from './handlers/peer/pull-events.ts';
import { readDeletions } from './handlers/peer/read-deletions.ts';
import { readRange } from './handlers/peer/read-range.ts';
import { createRegionStreams } from './handlers/peer/region-streams.ts';
import { previewMigration } from './handlers/preview-migration.ts';
import { requestMigration } from './handlers/request-migration.ts';
import { watchMigration } from './handlers/watch-migration.ts';
import { cancelGone } from './loops/cancel-gone.ts';
import { driveMigrations } from './loops/drive-migrations.ts';
import { endHolds } from './loops/end-holds.ts';
import { endMigrated } from './loops/end-migrated.ts';
import { followCommits } from './loops/follow-commits.ts';
import { followOffers } from './loops/follow-offers.ts';
import { purgeSources } from './loops/purge-sources.ts';
import { whileOpen } from './loops/while-open.ts';
import { openCopy } from './migration/copy.ts';
import { createWatching } from './migration/watching.ts';
import type { MigrationMetrics } from './migration-metrics.ts';
import { createAttemptStore } from './store/attempts.ts';
import type { CapturedEventStore } from './store/captured-events.ts';
import type { EventDeletionStore } from './store/event-deletions.ts';
import { createEventEstimate } from './store/event-estimate.ts';
import { createEventRemoval } from './store/event-removal.ts';
import { createMigratingProjectStore } from './store/migrating-projects.ts';
import { createMigrationCopyStore } from './store/migration-copy.ts';
import { createMigrationSource } from './store/migration-source.ts';
import { openMigration } from './store/migrations.ts';
import { projectFence } from './store/project-fence.ts';
import type { PropertyIndexStore } from './store/property-indexes.ts';

type MountMigrationsDependencies = {
  events: CapturedEventStore;
  deletions: EventDeletionStore;
  indexes: PropertyIndexStore;
  capture: CaptureDependencies;
  onDeadToken(request: DeadTokenRequest): void;
  metrics: MigrationMetrics;
};

/** The handlers and loops of migrations between regions. */
export function migrationParts(
  kit: ServiceKit,
  common: Dependencies,
  { events, deletions, indexes, capture, onDeadToken, metrics }: MountMigrationsDependencies,
): {
  public: Mounted;
  internal: Mounted[];
  loops: ((signal: AbortSignal) => Promise<void>)[];
} {
  const { db, peers, config } = kit;
  const owner = ulid().toLowerCase();
  const { secrets } = peers.token;
  const dependencies = {
    ...{ ...kit, ...common, events, deletions, indexes, secrets, metrics, owner, peers },
    attempts: createAttemptStore(db),
    migratingProjects: createMigratingProjectStore(db),
    fenceHere: projectFence(db),
    estimateEvents: createEventEstimate(db),
    migrationSource: createMigrationSource(kit),
    streams: createRegionStreams(),
    watching: createWatching(common.migrations, kit.clock),
    copies: createMigrationCopyStore(db),
    removal: createEventRemoval(db),
    ...{ openCopy, capture, onDeadToken, sleep: systemSleep },
    rates: new RateLimits(portLimitsOf(config).rates),
  };
  const loops = [
    (signal: AbortSignal) => driveMigrations(dependencies, signal),
    (signal: AbortSignal) => followOffers(dependencies, signal),
    (signal: AbortSignal) => followCommits(dependencies, signal),
    (signal: AbortSignal) => cancelGone(dependencies, signal),
    (signal: AbortSignal) => endHolds(dependencies, signal),
    (signal: AbortSignal) => purgeSources(dependencies, signal),
  ];
  const resting = {
    untilOpen: (signal: AbortSignal) => kit.untilFound(openMigration, signal),
    hasOpen: (signal: AbortSignal) => dependencies.migrations.hasOpen(signal),
    log: kit.log,
  };
  return {
    public: mount(
      MigrationServiceService,
      {
        previewMigration,
        requestMigration,
        acceptMigration,
        cancelMigration,
        getMigration,
        listMigrations,
        watchMigration,
      },
      dependencies,
    ),
    internal: [
      mount(
        MigrationStaffServiceService,
        {
          startMigration,
          retryMigration,
          setMigrationRate,
          cancelMigration: cancelByStaff,
          rollbackMigration,
          purgeSource,
          getMigration: getByStaff,
          listMigrations: listByStaff,
          watchMigration: watchByStaff,
        },
        dependencies,
      ),
      mount(
        MigrationPeerServiceService,
        {
          ...{ peekDestination, getOffer, describeProject, noteProgress, cancelOffer },
          ...{ offerRollback, pullEvents, readRange, hashRanges, readDeletions, notePurge },
          ...{ beginCutover, commitCutover, abortCutover, forwardCapture, locateHere },
        },
        dependencies,
      ),
    ],
    loops: [
      (signal) => whileOpen(resting, loops, signal),
      (signal) => endMigrated(dependencies, signal),
    ],
  };
}
