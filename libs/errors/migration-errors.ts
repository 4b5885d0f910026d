import { status } from '@grpc/grpc-js';
import { bareName } from '@silo/protos/enum-name.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { make, notFound, precondition } from './make.ts';

const {
  ERROR_REASON_CROSS_REGION,
  ERROR_REASON_PLAN_REQUIRED,
  ERROR_REASON_MIGRATION_NOT_FOUND,
  ERROR_REASON_MIGRATION_STATE,
  ERROR_REASON_MIGRATION_IN_PROGRESS,
  ERROR_REASON_LOG_COMPACTED,
} = ErrorReason;

/** The errors of migrations between regions: part of `errors`. */
export const migrationErrors = {
  /** For an organization whose plan does not have the feature. */
  planRequired: ({ organizationId, feature }: { organizationId: string; feature: 'migrations' }) =>
    precondition(
      ERROR_REASON_PLAN_REQUIRED,
      `The organization's plan does not have ${feature}. Change its plan first.`,
      { subject: organizationId, metadata: { organization_id: organizationId, feature } },
    ),
  /** For a migration to the project's own region, or to a region that this one does not know. */
  noMigrationTo: (region: string) =>
    precondition(
      ERROR_REASON_CROSS_REGION,
      `Projects of this region cannot migrate to ${region}. Choose another region.`,
      { metadata: { region } },
    ),
  /** For staff who called the region at the other end of the migration. */
  migrationElsewhere: (region: string) =>
    precondition(
      ERROR_REASON_CROSS_REGION,
      `This is done in the region ${region}, at the other end of the migration. Send this request to the region ${region}.`,
      { metadata: { region } },
    ),
  migrationNotFound: (id: string) => notFound(ERROR_REASON_MIGRATION_NOT_FOUND, 'migration', id),
  /** `because` is a clause, given if the state alone does not explain the refusal. */
  migrationState: ({
    migrationId,
    state,
    because = `its state is ${bareName(MigrationState, state)}`,
  }: {
    migrationId: string;
    state: MigrationState;
    because?: string | undefined;
  }) =>
    precondition(
      ERROR_REASON_MIGRATION_STATE,
      `This cannot be done with the migration: ${because}.`,
      { subject: migrationId, metadata: { state: bareName(MigrationState, state) } },
    ),
  migrationInProgress: ({ projectId, migrationId }: { projectId: string; migrationId: string }) =>
    precondition(
      ERROR_REASON_MIGRATION_IN_PROGRESS,
      'The project has a migration that has not ended. Await its end, or cancel it.',
      { subject: projectId, metadata: { migration_id: migrationId } },
    ),
  /** For changes read from a database, which have no sequence numbers. */
  changesCompacted: () =>
    make(
      status.OUT_OF_RANGE,
      ERROR_REASON_LOG_COMPACTED,
      'The database has forgotten the changes after this resume_token. Scan again without one.',
      { metadata: { first_sequence: '' } },
    ),
};
