import type { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { MigrationDocument } from '../store/documents.ts';

/** Of a record: what changes it makes it one more. */
export const firstRevision = 1;

type DecidedLater = 'accepterAccountId' | 'acceptTime' | 'startTime' | 'rollbackOf' | 'hasEvents';

/** What a record begins with; who requested it: '' for staff. */
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
    /** How many events there are, about; undefined: that is not known. */
    eventsTotal: number | undefined;
  };

/** A record of a migration, open, of which nothing is done yet. */
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

/** The destination's record of what the source offers, but for what the destination decides itself. */
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
