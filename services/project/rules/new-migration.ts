import type { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { MigrationDocument } from '../store/documents.ts';

/** Revision of a new record; every change increments it. */
export const firstRevision = 1;

type DecidedLater = 'accepterAccountId' | 'acceptTime' | 'startTime' | 'rollbackOf' | 'hasEvents';

/** The initial fields of a record; the requester is '' for staff. */
type Begun = Pick<
  MigrationDocument,
  | '_id'
  | 'side'
  | 'state'
  | 'projectId'
  | 'projectName'
  | 'sourceRegion'
  | 'destinationRegion'
  | 'sourceOrganizationId'
  | 'destinationOrganizationId'
  | 'actor'
  | 'requesterAccountId'
  | 'requestTime'
> &
  Partial<Pick<MigrationDocument, DecidedLater>> & {
    /** The approximate number of events; undefined if not known. */
    eventsTotal: number | undefined;
  };

/** A new open record of a migration whose work has not begun. */
export function newMigration({ eventsTotal, ...begun }: Begun): MigrationDocument {
  const { side, sourceOrganizationId, destinationOrganizationId } = begun;
  return {
    ...begun,
    isOpen: true,
    organizationId: side === 'source' ? sourceOrganizationId : destinationOrganizationId,
    progress: eventsTotal === undefined ? {} : { eventsTotal },
    ...{ revision: firstRevision, attempt: 0 },
  };
}

/**
 * The destination's record of an offer of the source, with the fields that the destination decides.
 */
export function offeredMigration(
  offer: Migration,
  decided: Pick<Begun, 'state' | 'actor' | DecidedLater> & { now: Date },
): MigrationDocument {
  const { id, projectId, projectName, sourceRegion, destinationRegion } = offer;
  const { sourceOrganizationId, destinationOrganizationId, requesterAccountId } = offer;
  const { now, ...values } = decided;
  return newMigration({
    ...{ _id: id, side: 'destination', projectId, projectName, sourceRegion, destinationRegion },
    ...{ sourceOrganizationId, destinationOrganizationId, requesterAccountId },
    requestTime: offer.requestTime ?? now,
    eventsTotal: offer.progress?.eventsTotal,
    ...values,
  });
}
