import type { EventDraft, Transaction } from '@silo/log/event-log.ts';
import {
  EventsDeleted,
  type FieldChange,
  MoveFinalized,
  ProjectCreated,
  ProjectDeleted,
  ProjectHeld,
  ProjectMigrated,
  ProjectMoved,
  ProjectReleased,
  ProjectUndeleted,
  ProjectUpdated,
  SlotsChanged,
} from '@silo/protos/gen/silo/events/v1/events.ts';
import type { MoveDocument, ProjectDocument, SlotsDocument } from './store/documents.ts';

/** The common fields of every event. */
type Occasion = { actor: string; tx: Pick<Transaction, 'now'> };

export function createdEvent(project: ProjectDocument, { actor, tx }: Occasion): EventDraft {
  const { _id, organizationId, name, revision } = project;
  const body = { projectId: _id, organizationId, name, revision, actor, time: tx.now };
  return { event: 'created', subject: _id, body: ProjectCreated.toJSON(body) };
}

export function updatedEvent(
  project: ProjectDocument,
  changes: FieldChange[],
  { actor, tx }: Occasion,
): EventDraft {
  const { _id, organizationId, revision } = project;
  const body = { projectId: _id, organizationId, changes, revision, actor, time: tx.now };
  return { event: 'updated', subject: _id, body: ProjectUpdated.toJSON(body) };
}

export function deletedEvent(project: ProjectDocument, { actor, tx }: Occasion): EventDraft {
  const { _id, organizationId, name, purgeTime, revision } = project;
  const body = { projectId: _id, organizationId, name, purgeTime, revision, actor, time: tx.now };
  return { event: 'deleted', subject: _id, body: ProjectDeleted.toJSON(body) };
}

export function movedEvent(
  { _id, name, revision }: ProjectDocument,
  move: MoveDocument,
  { actor, tx }: Occasion,
): EventDraft {
  const body = {
    projectId: _id,
    oldOrganizationId: move.sourceOrganizationId,
    newOrganizationId: move.destinationOrganizationId,
    moveId: move._id,
    name,
    revision,
    actor,
    time: tx.now,
    undoOf: move.undoOf ?? '',
    projectCount: move.projectIds.length,
  };
  return { event: 'moved', subject: _id, body: ProjectMoved.toJSON(body) };
}

export function moveFinalizedEvent(move: MoveDocument, { actor, tx }: Occasion): EventDraft {
  const body = {
    moveId: move._id,
    oldOrganizationId: move.sourceOrganizationId,
    newOrganizationId: move.destinationOrganizationId,
    projectIds: move.projectIds,
    revision: move.revision,
    actor,
    time: tx.now,
  };
  return { event: 'move_finalized', subject: move._id, body: MoveFinalized.toJSON(body) };
}

export function undeletedEvent(project: ProjectDocument, { actor, tx }: Occasion): EventDraft {
  const { _id, organizationId, name, revision } = project;
  const body = { projectId: _id, organizationId, name, revision, actor, time: tx.now };
  return { event: 'undeleted', subject: _id, body: ProjectUndeleted.toJSON(body) };
}

/** An attempt at the cutover to another region has begun. */
export function heldEvent(
  project: ProjectDocument,
  { migrationId }: { migrationId: string },
  { actor, tx }: Occasion,
): EventDraft {
  const { _id, organizationId, revision } = project;
  const body = { projectId: _id, organizationId, migrationId, revision, actor, time: tx.now };
  return { event: 'held', subject: _id, body: ProjectHeld.toJSON(body) };
}

/** The attempt has ended, and the project is as before. */
export function releasedEvent(
  project: ProjectDocument,
  { migrationId }: { migrationId: string },
  { actor, tx }: Occasion,
): EventDraft {
  const { _id, organizationId, revision } = project;
  const body = { projectId: _id, organizationId, migrationId, revision, actor, time: tx.now };
  return { event: 'released', subject: _id, body: ProjectReleased.toJSON(body) };
}

/**
 * In the source's region the project has left; in the destination's region it has arrived as a new
 * project.
 */
export function migratedEvent(
  { _id, name, revision }: ProjectDocument,
  migration: {
    migrationId: string;
    sourceRegion: string;
    destinationRegion: string;
    sourceOrganizationId: string;
    destinationOrganizationId: string;
  },
  { actor, tx }: Occasion,
): EventDraft {
  const body = {
    projectId: _id,
    oldOrganizationId: migration.sourceOrganizationId,
    newOrganizationId: migration.destinationOrganizationId,
    oldRegion: migration.sourceRegion,
    newRegion: migration.destinationRegion,
    migrationId: migration.migrationId,
    name,
    revision,
    actor,
    time: tx.now,
  };
  return { event: 'migrated', subject: _id, body: ProjectMigrated.toJSON(body) };
}

/** `filterFields` are the names of the fields that the deletion's filter restricts. */
export function eventsDeletedEvent(
  { _id, organizationId, revision }: ProjectDocument,
  { deletionId, filterFields }: { deletionId: string; filterFields: string[] },
  { actor, tx }: Occasion,
): EventDraft {
  const ids = { projectId: _id, organizationId, deletionId };
  const body = { ...ids, filterFields, revision, actor, time: tx.now };
  return { event: 'events_deleted', subject: _id, body: EventsDeleted.toJSON(body) };
}

/** `before` is undefined if the slots have just been opened. */
export function slotsChangedEvent(
  before: SlotsDocument | undefined,
  { _id, limit, count, closed, revision }: SlotsDocument,
  { actor, tx }: Occasion,
): EventDraft {
  const body = {
    organizationId: _id,
    oldLimit: before?.limit ?? undefined,
    limit: limit ?? undefined,
    count,
    closed,
    revision,
    actor,
    time: tx.now,
  };
  return { event: 'slots_changed', subject: _id, body: SlotsChanged.toJSON(body) };
}
