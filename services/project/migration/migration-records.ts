import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type { Mutation } from '@silo/mongo/mutation.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Call } from '@silo/rpc/call.ts';
import { whyGone } from '../rules/gone-project.ts';
import { mayBecome, requireMayBecome } from '../rules/migration-states.ts';
import type { MigrationDocument, ProjectDocument } from '../store/documents.ts';
import type { MigrationStore } from '../store/migrations.ts';

const cancelled = MigrationState.MIGRATION_STATE_CANCELLED;

/** Identifies a change that the project services of two regions make for a migration. */
export function asMigration(
  { _id, actor }: Pick<MigrationDocument, '_id' | 'actor'>,
  { signal }: Pick<Call, 'signal'>,
): Mutation {
  return { id: _id, actor, signal, authorization: undefined };
}

/** Reads again a record that was just found, as of the transaction. */
export async function reread(
  migrations: Pick<MigrationStore, 'read'>,
  tx: Transaction,
  id: string,
): Promise<MigrationDocument> {
  const record = await migrations.read(tx, id);
  if (record === undefined) throw errors.migrationNotFound(id);
  return record;
}

/**
 * Returns a record that an organization of this region can see. Refuses with MIGRATION_NOT_FOUND.
 */
export async function requireSeen(
  migrations: Pick<MigrationStore, 'find'>,
  id: string,
  organizationId: string,
  signal: AbortSignal,
): Promise<MigrationDocument> {
  const record = await migrations.find(id, signal);
  if (record?.organizationId !== organizationId) throw errors.migrationNotFound(id);
  return record;
}

/**
 * Cancels a migration of this region's project if the project was deleted or moved, as of the
 * transaction; undefined if the migration continues.
 */
export async function cancelIfGone(
  migrations: Pick<MigrationStore, 'become'>,
  tx: Transaction,
  record: MigrationDocument,
  project: ProjectDocument | undefined,
): Promise<MigrationDocument | undefined> {
  const { side, state } = record;
  if (side !== 'source' || !mayBecome(side, state, cancelled)) return undefined;
  const failure = whyGone(record, project);
  if (failure === undefined) return undefined;
  const values = { finishTime: tx.now, isOpen: undefined, failure };
  return await migrations.become(tx, record, cancelled, values);
}

/**
 * Cancels a migration of this region's project; does nothing if it is cancelled. `failure` is the
 * reason, for people.
 */
export async function cancelAtSource(
  migrations: Pick<MigrationStore, 'become' | 'read'>,
  tx: Transaction,
  record: MigrationDocument,
  why: { failure?: string } = {},
): Promise<MigrationDocument> {
  const values = { finishTime: tx.now, isOpen: undefined, ...why };
  const ended = await migrations.become(tx, record, cancelled, values);
  if (ended !== undefined) return ended;
  const present = await reread(migrations, tx, record._id);
  if (present.state !== cancelled) requireMayBecome(present, cancelled);
  return present;
}
