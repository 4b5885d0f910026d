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

/** Which end of the migration a record is of. */
export type MigrationSide = 'source' | 'destination';

type MigrationRecord = { _id: string; side: MigrationSide; state: MigrationState };

/** Which states a state may become. */
type Transitions = ReadonlyMap<MigrationState, readonly MigrationState[]>;

/**
 * The source notes what the destination does, and may miss some of it. It alone decides what leads to
 * CANCELLED, into CUTOVER and out of it.
 */
const ofSource: Transitions = new Map([
  [requested, [accepted, copying, verifying, failed, cancelled]],
  [accepted, [copying, verifying, failed, cutover, cancelled]],
  [copying, [verifying, failed, cutover, cancelled]],
  [verifying, [copying, failed, cutover, cancelled]],
  [failed, [copying, verifying, cutover, cancelled]],
  [cutover, [verifying, done]],
]);

/** The destination's record begins as ACCEPTED, or with COPYING where it is a rollback. */
const ofDestination: Transitions = new Map([
  [accepted, [copying, cancelled]],
  [copying, [verifying, failed, cancelled]],
  [verifying, [copying, cutover, failed, cancelled]],
  // Back to VERIFYING where the source has ended the attempt.
  [cutover, [verifying, done]],
  [failed, [copying, cancelled]],
]);

const tables: Record<MigrationSide, Transitions> = {
  source: ofSource,
  destination: ofDestination,
};

/** Whether a record may go from one state to another. */
export function mayBecome(side: MigrationSide, from: MigrationState, to: MigrationState): boolean {
  return tables[side].get(from)?.includes(to) ?? false;
}

/** The states from which a record may go to this one. */
export function statesBefore(side: MigrationSide, to: MigrationState): MigrationState[] {
  return [...tables[side]].filter(([, next]) => next.includes(to)).map(([from]) => from);
}

/** Refuses with MIGRATION_STATE what a record in its state may not become. */
export function requireMayBecome(record: MigrationRecord, to: MigrationState): void {
  if (!mayBecome(record.side, record.state, to)) throw wrongState(record);
}

/** MIGRATION_STATE, with the state that the record is in, and why where the state does not say it. */
export function wrongState(
  { _id, state }: Pick<MigrationRecord, '_id' | 'state'>,
  because?: string,
): SiloError {
  return errors.migrationState({ migrationId: _id, state, because });
}

/** What the source notes of the destination's state; all else it decides itself. */
export const notedStates: readonly MigrationState[] = [accepted, copying, verifying, failed];

/** The states in which a source's events may be pulled. */
export const pulledStates: readonly MigrationState[] = [
  accepted,
  copying,
  verifying,
  failed,
  cutover,
];

/** Whether the migration has ended for good: FAILED ones go on where staff retries them. */
export function isOver(state: MigrationState): boolean {
  return state === done || state === cancelled;
}

/** Whether WatchMigration ends with it. */
export function isFinished(state: MigrationState): boolean {
  return isOver(state) || state === failed;
}
