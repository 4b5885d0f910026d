import { errors } from '@silo/errors/errors.ts';
import type {
  CancelOfferRequest,
  CancelOfferResponse,
  DescribeProjectRequest,
  DescribeProjectResponse,
  GetOfferRequest,
  GetOfferResponse,
  PeekDestinationRequest,
  PeekDestinationResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Call } from '@silo/rpc/call.ts';
import { regionOf } from '@silo/tokens/ids.ts';
import { migrationMessage, slotsChange } from '../../messages.ts';
import { asMigration, cancelAtSource } from '../../migration/migration-records.ts';
import { whyGone } from '../../rules/gone-project.ts';
import { hasMigrations, refuseUnusable } from '../../rules/slots.ts';
import type { EstimateEvents } from '../../store/event-estimate.ts';
import type { MigratingProjectStore } from '../../store/migrating-projects.ts';
import type { Dependencies } from '../dependencies.ts';
import { findShared, requireOffered, requireShared } from './peer-records.ts';

const { MIGRATION_STATE_REQUESTED: requested, MIGRATION_STATE_CANCELLED: cancelled } =
  MigrationState;

/** Dependencies of the offers of this region to others. */
export type OfferDependencies = Pick<
  Dependencies,
  'slots' | 'eventLog' | 'migrations' | 'region' | 'peers'
> & { migratingProjects: Pick<MigratingProjectStore, 'find'> };

/** Dependencies of the description of a project. */
export type DescribeDependencies = Pick<OfferDependencies, 'migrations' | 'migratingProjects'> & {
  estimateEvents: EstimateEvents;
};

export async function peekDestination(
  { organizationId }: PeekDestinationRequest,
  { signal }: Call,
  { slots, peers, region }: Pick<OfferDependencies, 'slots' | 'peers' | 'region'>,
): Promise<PeekDestinationResponse> {
  if (regionOf(organizationId) !== region) throw errors.organizationNotFound(organizationId);
  const { name } = await peers.org.directory.describeOrganization({ organizationId }, { signal });
  const present = (await slots.getMany([organizationId], signal)).get(organizationId);
  if (present === undefined || present.closed) throw refuseUnusable(organizationId, present);
  return { name, slots: slotsChange(present, 1), migrations: hasMigrations(present) };
}

/**
 * GetOffer: an offer that was not accepted is CANCELLED if its project is gone; its record follows
 * soon.
 */
export async function getOffer(
  { migrationId }: GetOfferRequest,
  call: Call,
  { migrations, migratingProjects }: Pick<OfferDependencies, 'migrations' | 'migratingProjects'>,
): Promise<GetOfferResponse> {
  const record = await findShared(migrations, migrationId, call);
  // Reads a project even without an offer, so that the response time does not show an unauthorized
  // caller whether the offer exists.
  const project = await migratingProjects.find(record?.projectId ?? migrationId, call.signal);
  if (record === undefined) throw errors.migrationNotFound(migrationId);
  if (record.state !== requested) return { migration: migrationMessage(record) };
  const failure = whyGone(record, project);
  const ended = failure === undefined ? {} : { state: cancelled, failure };
  return { migration: migrationMessage({ ...record, ...ended }) };
}

export async function describeProject(
  { migrationId, countsEvents }: DescribeProjectRequest,
  call: Call,
  { migrations, migratingProjects, estimateEvents }: DescribeDependencies,
): Promise<DescribeProjectResponse> {
  const record = await requireShared(migrations, migrationId, call);
  const project = await migratingProjects.find(record.projectId, call.signal);
  if (project === undefined) {
    if (record.isProjectPurged) return { indexPlaces: [], purged: true };
    throw errors.projectNotFound(record.projectId);
  }
  const counted = countsEvents ? await estimateEvents(record.projectId, call.signal) : undefined;
  return {
    purged: false,
    events: counted?.events,
    indexPlaces: (project.propertyIndexes ?? []).map(({ place }) => place),
  };
}

export async function cancelOffer(
  { migrationId }: CancelOfferRequest,
  call: Call,
  { migrations, eventLog }: OfferDependencies,
): Promise<CancelOfferResponse> {
  const record = await requireOffered(migrations, migrationId, call);
  // MongoDB may carry out the commit for as long again as the other region waits, but not later;
  // see `cancelAnywhere`.
  const mutation = { ...asMigration(record, call), commitTimeMaxMs: call.remainingMs() };
  const { value } = await eventLog.decide(mutation, (tx) => cancelAtSource(migrations, tx, record));
  return { migration: migrationMessage(value) };
}
