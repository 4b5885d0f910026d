import { errors } from '@silo/errors/errors.ts';
import type { Transaction } from '@silo/log/event-log.ts';
import type {
  AbortCutoverRequest,
  AbortCutoverResponse,
  BeginCutoverRequest,
  BeginCutoverResponse,
  CommitCutoverRequest,
  CommitCutoverResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { Propagate } from '@silo/rpc/propagation.ts';
import type { Peers } from '@silo/service/peers.ts';
import { heldEvent, migratedEvent } from '../../events.ts';
import { asMigration, reread } from '../../migration/migration-records.ts';
import { heldSeconds, releaseHold } from '../../migration/release-hold.ts';
import type { MigrationMetrics } from '../../migration-metrics.ts';
import { attemptMsMax } from '../../rules/cutover-times.ts';
import { wrongState } from '../../rules/migration-states.ts';
import type { AttemptStore } from '../../store/attempts.ts';
import type { MigrationDocument } from '../../store/documents.ts';
import type { EventDeletionStore } from '../../store/event-deletions.ts';
import { encodeProject, type MigratingProjectStore } from '../../store/migrating-projects.ts';
import type { Dependencies } from '../dependencies.ts';
import { requireOffered } from './peer-records.ts';

/** Dependencies of the source's part of a cutover. */
export type CutoverDependencies = Pick<Dependencies, 'slots' | 'eventLog' | 'migrations'> & {
  attempts: AttemptStore;
  migratingProjects: MigratingProjectStore;
  deletions: Pick<EventDeletionStore, 'hasOpen'>;
  propagate: Propagate;
  metrics: Pick<MigrationMetrics, 'held'>;
  secrets: Pick<Peers['token']['secrets'], 'readProjectToken'>;
};

export async function beginCutover(
  { migrationId, attempt }: BeginCutoverRequest,
  call: Call,
  dependencies: CutoverDependencies,
): Promise<BeginCutoverResponse> {
  const { signal } = call;
  const record = await requireOffered(dependencies.migrations, migrationId, call);
  const { projectId } = record;
  const { eventIds } = await dependencies.eventLog.decide(asMigration(record, call), (tx) =>
    hold(dependencies, tx, migrationId, attempt),
  );
  // A repeated call has no events, and waits for all that were committed before.
  await dependencies.propagate(eventIds, signal);
  if (!(await dependencies.attempts.fence(migrationId, attempt, signal))) {
    throw wrongState(await requireOffered(dependencies.migrations, migrationId, call));
  }
  const [project, { token, revision }] = await Promise.all([
    dependencies.migratingProjects.find(projectId, signal),
    dependencies.secrets.readProjectToken({ projectId }, { signal }),
  ]);
  if (project === undefined) throw new TypeError(`${projectId} is held and not stored`);
  return { project: encodeProject(project), projectToken: token, tokenRevision: revision };
}

/** Begins the attempt, unless it has begun. */
async function hold(
  { migrations, attempts, migratingProjects, deletions }: CutoverDependencies,
  tx: Transaction,
  migrationId: string,
  attempt: number,
): Promise<void> {
  const begun = await attempts.begin(tx, migrationId, attempt);
  if (begun === undefined) {
    const present = await reread(migrations, tx, migrationId);
    if (isRunning(present, attempt)) return;
    throw wrongState(present);
  }
  const { projectId, sourceOrganizationId, actor } = begun;
  const project = await migratingProjects.hold(tx, projectId, sourceOrganizationId);
  if (project === undefined) throw await notHere(migratingProjects, tx, begun);
  if (await deletions.hasOpen(tx, projectId)) {
    throw errors.notReady('the project', 'has deleted events that are still being removed');
  }
  if (project.propertyIndexes?.some(({ state }) => state !== 'ready')) {
    throw errors.notReady('an index of the project');
  }
  tx.emit(heldEvent(project, { migrationId }, { actor, tx }));
}

/**
 * PROJECT_NOT_ACTIVE: the project was deleted or moved meanwhile, which the next NoteProgress
 * notices.
 */
async function notHere(
  migratingProjects: MigratingProjectStore,
  tx: Transaction,
  { projectId }: MigrationDocument,
): Promise<Error> {
  const present = await migratingProjects.read(tx, projectId);
  if (present === undefined) return errors.projectNotFound(projectId);
  return errors.projectNotActive({ projectId, state: present.state });
}

function isRunning({ holdTime, commitTime, ...record }: MigrationDocument, attempt: number) {
  return record.attempt === attempt && holdTime !== undefined && commitTime === undefined;
}

export async function commitCutover(
  { migrationId, attempt }: CommitCutoverRequest,
  call: Call,
  dependencies: CutoverDependencies,
): Promise<CommitCutoverResponse> {
  const { migrations, attempts, migratingProjects, slots, eventLog, metrics } = dependencies;
  const record = await requireOffered(migrations, migrationId, call);
  const { value } = await eventLog.decide(asMigration(record, call), async (tx) => {
    const committed = await attempts.commit(tx, migrationId, attempt);
    if (committed === undefined) {
      const present = await reread(migrations, tx, migrationId);
      const isRepeat = present.commitTime !== undefined && present.attempt === attempt;
      if (isRepeat) return { ended: present };
      // The destination ends the attempt: no other of its calls may commit it later, for example by
      // the clock of another primary.
      const failure = 'The destination did not finish the cutover in time.';
      const late = await releaseHold(dependencies, tx, {
        record,
        attempt,
        failure,
        onlyAfterMs: attemptMsMax,
      });
      if (late === undefined) throw wrongState(present);
      return { ended: late, how: 'released' as const };
    }
    const { projectId, sourceOrganizationId, actor } = committed;
    const project = await migratingProjects.leave(tx, projectId, {
      region: committed.destinationRegion,
      organizationId: committed.destinationOrganizationId,
    });
    if (project === undefined) throw new TypeError(`${projectId} is not held`);
    await slots.free(tx, sourceOrganizationId);
    tx.emit(migratedEvent(project, { ...committed, migrationId }, { actor, tx }));
    return { ended: committed, how: 'committed' as const };
  });
  const { ended, how } = value;
  if (how !== undefined) metrics.held(how, heldSeconds(ended));
  if (how === 'released') throw wrongState(ended);
  return { holdMs: ended.progress.holdMs };
}

export async function abortCutover(
  { migrationId, attempt }: AbortCutoverRequest,
  call: Call,
  dependencies: CutoverDependencies,
): Promise<AbortCutoverResponse> {
  const { migrations, attempts, eventLog, metrics } = dependencies;
  const record = await requireOffered(migrations, migrationId, call);
  const { value: ended } = await eventLog.decide(asMigration(record, call), async (tx) => {
    const failure = 'The destination could not finish the cutover in time.';
    const released = await releaseHold(dependencies, tx, { record, attempt, failure });
    if (released !== undefined) return released;
    const present = await reread(migrations, tx, migrationId);
    if (present.commitTime !== undefined) throw wrongState(present);
    await attempts.skip(tx, migrationId, attempt);
    return undefined;
  });
  if (ended !== undefined) metrics.held('released', heldSeconds(ended));
  return {};
}
