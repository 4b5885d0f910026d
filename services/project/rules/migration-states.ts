import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';

const {
  MIGRATION_STATE_REQUESTED: requested,
  MIGRATION_STATE_ACCEPTED: accepted,
  MIGRATION_STATE_COPYING: copying,
  MIGRATION_STATE_VERIFYING: verifying,
  MIGRATION_STATE_CUTOVER: cutover,
  MIGRATION_STATE_DONE: done,
  MIGRATION_STATE_CANCELLED: cancelled,
  MIGRATION_STATE_FAILED: failed,
} = MigrationState;

/** Whether a record is that of the source or of the destination. */
export type MigrationSide = 'source' | 'destination';

type MigrationRecord = { _id: string; side: MigrationSide; state: MigrationState };

/** The allowed next states of each state. */
type Transitions = ReadonlyMap<MigrationState, readonly MigrationState[]>;

/**
 * The source records what the destination reports, and may miss some reports. It alone decides the
 * changes to CANCELLED, into CUTOVER and out of it.
 */
const ofSource: Transitions = new Map([
  [requested, [accepted, copying, verifying, failed, cancelled]],
  [accepted, [copying, verifying, failed, cutover, cancelled]],
  [copying, [verifying, failed, cutover, cancelled]],
  [verifying, [copying, failed, cutover, cancelled]],
  [failed, [copying, verifying, cutover, cancelled]],
  [cutover, [verifying, done]],
]);

/** The destination's record begins as ACCEPTED, or as COPYING for a rollback. */
const ofDestination: Transitions = new Map([
  [accepted, [copying, cancelled]],
  [copying, [verifying, failed, cancelled]],
  [verifying, [copying, cutover, failed, cancelled]],
  // Back to VERIFYING if the source has ended the attempt.
  [cutover, [verifying, done]],
  [failed, [copying, cancelled]],
]);

const tables: Record<MigrationSide, Transitions> = {
  source: ofSource,
  destination: ofDestination,
};

/** Whether a record may change from one state to another. */
export function mayBecome(side: MigrationSide, from: MigrationState, to: MigrationState): boolean {
  return tables[side].get(from)?.includes(to) ?? false;
}

/** The states from which a record may change to the given one. */
export function statesBefore(side: MigrationSide, to: MigrationState): MigrationState[] {
  return [...tables[side]].filter(([, next]) => next.includes(to)).map(([from]) => from);
}

/** Refuses with MIGRATION_STATE a change that the record's state does not allow. */
export function requireMayBecome(record: MigrationRecord, to: MigrationState): void {
  if (!mayBecome(record.side, record.state, to)) throw wrongState(record);
}

/** MIGRATION_STATE with the record's state, and the reason unless the state explains it. */
export function wrongState(
  { _id, state }: Pick<MigrationRecord, '_id' | 'state'>,
  because?: string,
): SiloError {
  return errors.migrationState({ migrationId: _id, state, because });
}

/** The states of the destination that the source records; it decides all others itself. */
export const notedStates: readonly MigrationState[] = [accepted, copying, verifying, failed];

/** The states in which a source's events may be pulled. */
export const pulledStates: readonly MigrationState[] = [
  accepted,
  copying,
  verifying,
  failed,
  cutover,
];

/** Whether the migration has ended for good. FAILED migrations continue if staff retries them. */
export function isOver(state: MigrationState): boolean {
  return state === done || state === cancelled;
}

/** Whether WatchMigration ends in this state. */
export function isFinished(state: MigrationState): boolean {
  return isOver(state) || state === failed;
}
