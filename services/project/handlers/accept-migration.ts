import { errors } from '@silo/errors/errors.ts';
import { reasonOf } from '@silo/errors/from-status.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { GetOfferResponse } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { type Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import {
  type AcceptMigrationRequest,
  AcceptMigrationResponse,
} from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { type Call, keyCaller } from '@silo/rpc/call.ts';
import { beforePermit } from '@silo/rpc/check-access.ts';
import { askRegion } from '@silo/service/regions.ts';
import { regionOf } from '@silo/tokens/ids.ts';
import { migrationMessage } from '../messages.ts';
import { isSoundOffer } from '../rules/foreign-project.ts';
import { requireRoom } from '../rules/migration.ts';
import { wrongState } from '../rules/migration-states.ts';
import { firstRevision, offeredMigration } from '../rules/new-migration.ts';
import type { CapturedEventStore } from '../store/captured-events.ts';
import type { MigratingProjectStore } from '../store/migrating-projects.ts';
import type { Dependencies } from './dependencies.ts';

const { MIGRATION_STATE_REQUESTED: requested, MIGRATION_STATE_ACCEPTED: accepted } = MigrationState;
const { MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;

/** Maximum time that the response waits for the source. */
const noteMsMax = 2_000;
/** Maximum number of characters of a text from another region. */
const failureMax = 1_000;

type AcceptMigrationDependencies = Pick<
  Dependencies,
  'slots' | 'migrations' | 'eventLog' | 'access' | 'region' | 'regions'
> & {
  migratingProjects: Pick<MigratingProjectStore, 'read'>;
  events: Pick<CapturedEventStore, 'hasAny'>;
};

export async function acceptMigration(
  { migrationId, organizationId }: AcceptMigrationRequest,
  call: Call,
  dependencies: AcceptMigrationDependencies,
): Promise<Outcome<AcceptMigrationResponse>> {
  const { slots, migrations, eventLog, regions } = dependencies;
  const { accountId } = keyCaller(call).key;
  const needs = { scope: 'project:write', organizationId, level: Level.LEVEL_ADMIN };
  const [offer] = await beforePermit({ access: dependencies.access, call }, needs, () =>
    findOffer(dependencies, call, migrationId),
  );
  if (offer?.destinationOrganizationId !== organizationId) {
    throw errors.migrationNotFound(migrationId);
  }
  const { state } = offer;
  if (state !== requested) {
    // The project may be gone, which the source then records.
    const asOffered = { ...offer, state: requested, failure: '' };
    if (state === cancelled) await noteAtSource(asOffered, 0, call, regions);
    throw wrongState({ _id: migrationId, state }, becauseOf(offer));
  }
  const outcome = await eventLog.mutate(call, AcceptMigrationResponse, async (tx) => {
    requireRoom(organizationId, await slots.read(tx, organizationId));
    const hasEvents = await requireAway(dependencies, tx, offer, call);
    const migration = offeredMigration(offer, {
      ...{ state: accepted, actor: accountId, accepterAccountId: accountId },
      ...{ now: tx.now, acceptTime: tx.now, ...(hasEvents && { hasEvents }) },
    });
    await migrations.insert(tx, migration);
    return { response: { migration: migrationMessage(migration) } };
  });
  if (outcome.repeated) return outcome;
  const { migration } = outcome.response;
  if (migration !== undefined) await noteAtSource(migration, firstRevision, call, regions);
  return outcome;
}

/** If the source does not answer, the loop of open migrations informs it later. */
async function noteAtSource(
  migration: Migration,
  revision: number,
  { signal, log }: Call,
  regions: AcceptMigrationDependencies['regions'],
): Promise<void> {
  const { id: migrationId, sourceRegion } = migration;
  await askRegion(regions, sourceRegion, (client) =>
    client.noteProgress({ migration, revision }, { signal, deadlineMs: noteMsMax }),
  ).catch((err: unknown) => log.info({ migrationId, err }, 'the source could not be informed yet'));
}

/**
 * Why the source has cancelled an offer by itself, as a clause; undefined if the state says
 * everything.
 */
function becauseOf({ state, failure }: Migration): string | undefined {
  if (state !== cancelled || failure === '') return undefined;
  return `it was cancelled: ${failure.slice(0, failureMax).replace(/\.$/, '')}`;
}

/**
 * Reads the migration from the region of its source; undefined if that has no offer for this
 * region.
 */
async function findOffer(
  { region, regions }: AcceptMigrationDependencies,
  { signal }: Call,
  migrationId: string,
): Promise<Migration | undefined> {
  const source = regionOf(migrationId);
  if (source === undefined || source === region || !regions.has(source)) return undefined;
  const { migration } = await askRegion(regions, source, (client) =>
    client.getOffer({ migrationId }, { signal }),
  ).catch(noOfferIfNotFound);
  // Accept only the requested migration: the source must not choose the parties of the migration.
  if (migration === undefined) return undefined;
  const { id, sourceRegion, destinationRegion } = migration;
  const isMeant = id === migrationId && sourceRegion === source && destinationRegion === region;
  return isMeant && isSoundOffer(migration) ? migration : undefined;
}

/** So that the access check that follows is made for an absent offer, as for a hidden one. */
function noOfferIfNotFound(error: unknown): GetOfferResponse {
  if (reasonOf(error) === 'MIGRATION_NOT_FOUND') return { migration: undefined };
  throw error;
}

/** Refuses if the project is in this region. Returns whether events of an earlier stay are here. */
async function requireAway(
  { migrations, migratingProjects, events }: AcceptMigrationDependencies,
  tx: Transaction,
  { projectId }: Migration,
  { signal }: Call,
): Promise<boolean> {
  const open = await migrations.readOpen(tx, projectId);
  if (open !== undefined) throw errors.migrationInProgress({ projectId, migrationId: open._id });
  const project = await migratingProjects.read(tx, projectId);
  if (project === undefined) return false;
  const { state } = project;
  if (state !== ProjectState.PROJECT_STATE_MIGRATED) {
    throw errors.projectNotActive({ projectId, state });
  }
  return await events.hasAny(projectId, signal);
}
