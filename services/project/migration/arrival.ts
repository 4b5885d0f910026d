import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import {
  type MigrationProgress,
  MigrationState,
} from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { heldEvent, migratedEvent, releasedEvent } from '../events.ts';
import { arrivedProject, restoredProject } from '../rules/arrived-project.ts';
import { requireMigrations, requireRoomFor } from '../rules/migration.ts';
import type { MigrationDocument, ProjectDocument, SlotsDocument } from '../store/documents.ts';
import type { MigrationValues } from '../store/migrations.ts';
import { decide, type Work } from './work.ts';

const { MIGRATION_STATE_DONE: done, MIGRATION_STATE_VERIFYING: verifying } = MigrationState;
const { MIGRATION_STATE_FAILED: failed } = MigrationState;

/**
 * Checks the plan again, and reserves a slot for the project unless it has one. Refuses with
 * PLAN_REQUIRED, PROJECT_LIMIT, ORGANIZATION_NOT_FOUND.
 */
export async function takeSlot(work: Work, record: MigrationDocument): Promise<MigrationDocument> {
  const { slots, migrations } = work.dependencies;
  const { destinationOrganizationId: organizationId } = record;
  return await decide(work, record, async (tx) => {
    const present = await requirePlan(work, tx, record);
    if (record.hasSlot) return record;
    requireRoomFor(organizationId, present);
    if (!(await slots.take(tx, organizationId, 1)))
      throw errors.organizationNotFound(organizationId);
    return await migrations.write(tx, record, { hasSlot: true }, { fence: work.fence });
  });
}

/**
 * The organization's slots. Refuses with PLAN_REQUIRED, except for a rollback, which any plan
 * allows.
 */
async function requirePlan(
  { dependencies: { slots } }: Work,
  tx: Transaction,
  { destinationOrganizationId: organizationId, rollbackOf }: MigrationDocument,
): Promise<SlotsDocument | undefined> {
  const present = await slots.read(tx, organizationId);
  return rollbackOf === undefined ? requireMigrations(organizationId, present) : present;
}

/**
 * Stores the project of the other region without activating it: from now on the source may commit
 * the attempt. Replaces no other project of this region, and no active one, whatever the source
 * sends. Refuses with PLAN_REQUIRED if the plan has changed since the slot was reserved.
 */
export async function arrive(
  work: Work,
  record: MigrationDocument,
  given: ProjectDocument,
): Promise<MigrationDocument> {
  const { migratingProjects, migrations } = work.dependencies;
  const { _id: migrationId, projectId, attempt, actor } = record;
  if (given._id !== projectId) throw new TypeError('the source has sent a different project');
  return await decide(work, record, async (tx) => {
    await requirePlan(work, tx, record);
    const displaced = await migratingProjects.read(tx, projectId);
    if (displaced !== undefined && displaced.state !== ProjectState.PROJECT_STATE_MIGRATED) {
      throw errors.projectNotActive({ projectId, state: displaced.state });
    }
    const { destinationOrganizationId: organizationId } = record;
    const arrival = { organizationId, migrationId, displaced, now: tx.now };
    const project = arrivedProject(given, arrival);
    await migratingProjects.put(tx, project);
    tx.emit(heldEvent(project, { migrationId }, { actor, tx }));
    // The stored project holds the slot now.
    const values = { arrivedAttempt: attempt, displaced, hasSlot: undefined };
    return await migrations.write(tx, record, values, { fence: work.fence });
  });
}

/** Activates the project: the source has committed the attempt. */
export async function activate(
  work: Work,
  record: MigrationDocument,
  last: Partial<MigrationProgress>,
): Promise<MigrationDocument> {
  const { migratingProjects, migrations, copies } = work.dependencies;
  const { _id: migrationId, projectId, actor } = record;
  return await decide(work, record, async (tx) => {
    const project = await migratingProjects.activate(tx, projectId);
    if (project === undefined) throw new TypeError(`${projectId} has not come`);
    // Stop the copy: a repair would delete events that are captured here from now on.
    await copies.end(tx, migrationId);
    tx.emit(migratedEvent(project, { ...record, migrationId }, { actor, tx }));
    const ended = { arrivedAttempt: undefined, displaced: undefined, failure: undefined };
    const progress = { ...record.progress, ...last };
    const values = { ...ended, putOff: undefined, progress, finishTime: tx.now };
    return await migrations.become(tx, record, done, values, { fence: work.fence });
  });
}

/**
 * Ends an attempt that the source does not commit, and continues the migration. Reverts the arrival
 * if there was one; this also works if the outcome of `arrive` is unknown.
 */
export async function stayAway(
  work: Work,
  record: MigrationDocument,
  values: MigrationValues,
): Promise<MigrationDocument> {
  const { migrations } = work.dependencies;
  return await decide(work, record, async (tx) => {
    const present = await migrations.read(tx, record._id);
    const hasArrived = present?.arrivedAttempt === record.attempt;
    if (hasArrived) await leaveAgain(work, tx, present);
    const slot = hasArrived ? { hasSlot: true as const } : {};
    const change = { ...values, ...slot, arrivedAttempt: undefined, displaced: undefined };
    return await migrations.become(tx, record, verifying, change, { fence: work.fence });
  });
}

async function leaveAgain(
  { dependencies: { migratingProjects } }: Work,
  tx: Transaction,
  { _id: migrationId, projectId, displaced, actor }: MigrationDocument,
): Promise<void> {
  const arrived = await migratingProjects.read(tx, projectId);
  if (arrived === undefined) throw new TypeError(`${projectId} has not come`);
  const left = restoredProject(displaced ?? arrived, arrived, tx.now);
  if (displaced === undefined) await migratingProjects.remove(tx, projectId);
  else await migratingProjects.put(tx, left);
  tx.emit(releasedEvent(left, { migrationId }, { actor, tx }));
}

/** Ends the migration as failed until staff retries it. Keeps the copy, but frees the slot. */
export async function fail(
  work: Work,
  record: MigrationDocument,
  failure: string,
): Promise<MigrationDocument> {
  const { migrations, copies } = work.dependencies;
  return await decide(work, record, async (tx) => {
    await freeSlot(work, tx, record._id);
    // Its comparison will be outdated when staff retries.
    await copies.doubt(tx, record._id);
    const values = { failure, putOff: undefined, finishTime: tx.now, hasSlot: undefined };
    return await migrations.become(tx, record, failed, values, { fence: work.fence });
  });
}

/** Frees the slot that is reserved for a project, if any. */
export async function freeSlot(
  { dependencies: { migrations, slots } }: Work,
  tx: Transaction,
  id: string,
): Promise<void> {
  const record = await migrations.read(tx, id);
  if (record?.hasSlot) await slots.free(tx, record.destinationOrganizationId);
}
