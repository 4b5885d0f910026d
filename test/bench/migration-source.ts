/**
 * Serves a project's events to another region, like the project service, in a separate process that
 * ends with its parent. Sends the parent its address.
 */
import { connectMongo } from '@silo/mongo/connect.ts';
import { pullEvents } from '@silo/project-service/handlers/peer/pull-events.ts';
import type { SourceDependencies } from '@silo/project-service/handlers/peer/read-events.ts';
import { readRange } from '@silo/project-service/handlers/peer/read-range.ts';
import { createRegionStreams } from '@silo/project-service/handlers/peer/region-streams.ts';
import { newMigration } from '@silo/project-service/rules/new-migration.ts';
import { createMigrationSource } from '@silo/project-service/store/migration-source.ts';
import { MigrationPeerServiceService } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { mount } from '@silo/rpc/mount.ts';
import { startServer } from '@silo/rpc/server.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';

export type MigrationSourceOptions = {
  mongodb: string;
  database: string;
  projectId: string;
  region: string;
  otherRegion: string;
  tls: TlsFiles;
};

const { mongodb, database, projectId, region, otherRegion, tls }: MigrationSourceOptions =
  JSON.parse(process.argv[2] ?? '{}');
const { db } = await connectMongo({ url: mongodb, database, appName: 'bench' });
const dependencies: SourceDependencies = {
  migrationSource: createMigrationSource({ db, clock: systemClock }),
  streams: createRegionStreams(),
  migrations: {
    find: async (id) =>
      newMigration({
        ...{ _id: id, side: 'source', state: MigrationState.MIGRATION_STATE_COPYING },
        ...{
          projectId,
          projectName: 'bench',
          sourceRegion: region,
          destinationRegion: otherRegion,
        },
        ...{ sourceOrganizationId: '', destinationOrganizationId: '', requesterAccountId: '' },
        ...{ actor: '', requestTime: new Date(), eventsTotal: undefined },
      }),
  },
};
const methods = {
  pullEvents: MigrationPeerServiceService.pullEvents,
  readRange: MigrationPeerServiceService.readRange,
};
const server = await startServer({
  ...{ address: 'localhost:0', internal: true, tls, region, log: silentLogger() },
  otherRegions: new Set([otherRegion]),
  services: [mount(methods, { pullEvents, readRange }, dependencies)],
});
process.once('disconnect', () => process.exit());
process.send?.(server.address);
