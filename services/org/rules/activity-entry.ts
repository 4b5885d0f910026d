import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { decodeBody, type EventBody, type EventName, isEventName } from '@silo/log/decode-event.ts';
import { enumName } from '@silo/protos/enum-name.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { ActivityChange } from '@silo/protos/gen/silo/org/v1/activity_service.ts';

/** An event of any service's log. */
export type LoggedActivity = {
  /** `ce-id`. */
  id: string;
  /** `ce-type`, such as `internal.silo.project.moved.v1`. */
  type: string;
  time: Date;
  actor: string;
  /** The body's proto3 JSON, parsed. */
  body: JsonValue;
};

/** One entry of the activity log, and the organizations that see it. */
export type Entry = {
  id: string;
  time: Date;
  /** For example `project.moved`. */
  type: string;
  actor: string;
  /** The organizations that the event names. Never empty. */
  organizationIds: string[];
  projectId: string;
  subjectId: string;
  moveId: string;
  /** The move that this one undid. */
  undoOf: string;
  changes: ActivityChange[];
};

/** The entry fields of an event. Without organizations the entry is visible to nobody. */
type EntryFields = {
  organizationIds: string[];
  projectId?: string;
  subjectId?: string;
  moveId?: string;
  undoOf?: string;
  changes?: ActivityChange[];
};

const nobody: EntryFields = { organizationIds: [] };

/**
 * The conversion of each event. Enum values are shown by their names in the JSON, which those of a
 * newer release have too.
 * @internal Exported for tests.
 */
export const converters: {
  readonly [Name in EventName]: (body: EventBody<Name>, json: JsonObject) => EntryFields;
} = {
  'org.account_created': ({ organizationId, accountId }) => ({
    organizationIds: [organizationId],
    subjectId: accountId,
  }),
  'org.account_updated': () => nobody,
  'org.organization_created': ({ organizationId, name }) => ({
    organizationIds: [organizationId],
    subjectId: organizationId,
    changes: changed('name', '', name),
  }),
  'org.organization_updated': ({ organizationId, changes }) => ({
    organizationIds: [organizationId],
    subjectId: organizationId,
    changes,
  }),
  'org.organization_deleted': ({ organizationId, name }) => ({
    organizationIds: [organizationId],
    subjectId: organizationId,
    changes: changed('name', name, ''),
  }),
  'org.member_added': ({ organizationId, accountId }, { level }) => ({
    organizationIds: [organizationId],
    subjectId: accountId,
    changes: changed('level', '', levelName(level)),
  }),
  'org.member_updated': ({ organizationId, accountId }, { oldLevel, level }) => ({
    organizationIds: [organizationId],
    subjectId: accountId,
    changes: changed('level', levelName(oldLevel), levelName(level)),
  }),
  'org.member_removed': ({ organizationId, accountId }, { oldLevel }) => ({
    organizationIds: [organizationId],
    subjectId: accountId,
    changes: changed('level', levelName(oldLevel), ''),
  }),
  'org.invite_created': ({ organizationId, inviteId }, { level }) => ({
    organizationIds: [organizationId],
    subjectId: inviteId,
    changes: changed('level', '', levelName(level)),
  }),
  'org.invite_deleted': ({ organizationId, inviteId }) => ({
    organizationIds: [organizationId],
    subjectId: inviteId,
  }),
  'org.invite_accepted': ({ organizationId, inviteId, accountId }) => ({
    organizationIds: [organizationId],
    subjectId: inviteId,
    changes: changed('account_id', '', accountId),
  }),
  'project.created': ({ organizationId, projectId, name }) => ({
    organizationIds: [organizationId],
    projectId,
    changes: changed('name', '', name),
  }),
  'project.updated': ({ organizationId, projectId, changes }) => ({
    organizationIds: [organizationId],
    projectId,
    changes,
  }),
  'project.moved': (moved) => ({
    organizationIds: [moved.oldOrganizationId, moved.newOrganizationId],
    projectId: moved.projectId,
    moveId: moved.moveId,
    undoOf: moved.undoOf,
    changes: changed('organization_id', moved.oldOrganizationId, moved.newOrganizationId),
  }),
  'project.move_finalized': (finalized) => ({
    organizationIds: [finalized.oldOrganizationId, finalized.newOrganizationId],
    projectId: finalized.projectIds.length === 1 ? (finalized.projectIds[0] ?? '') : '',
    subjectId: finalized.moveId,
    moveId: finalized.moveId,
  }),
  'project.undeleted': ({ organizationId, projectId, name }) => ({
    organizationIds: [organizationId],
    projectId,
    changes: changed('name', '', name),
  }),
  'project.deleted': ({ organizationId, projectId, name }) => ({
    organizationIds: [organizationId],
    projectId,
    changes: changed('name', name, ''),
  }),
  // A hold lasts for seconds only.
  'project.held': () => nobody,
  'project.released': () => nobody,
  // Each region has one of the two organizations, which sees the entry.
  'project.migrated': (migrated) => ({
    organizationIds: [migrated.oldOrganizationId, migrated.newOrganizationId],
    projectId: migrated.projectId,
    subjectId: migrated.migrationId,
    changes: [
      ...changed('region', migrated.oldRegion, migrated.newRegion),
      ...changed('organization_id', migrated.oldOrganizationId, migrated.newOrganizationId),
    ],
  }),
  'project.events_deleted': ({ organizationId, projectId, deletionId, filterFields }) => ({
    organizationIds: [organizationId],
    projectId,
    subjectId: deletionId,
    changes: changed('events', filterFields.join(', ') || 'all', ''),
  }),
  'project.slots_changed': ({ organizationId, oldLimit, limit, closed }) => ({
    organizationIds: [organizationId],
    subjectId: organizationId,
    changes: [
      ...changed('limit', oldLimit?.toString() ?? '', limit?.toString() ?? ''),
      ...changed('closed', '', closed ? 'true' : ''),
    ],
  }),
  // The event names a project, but not its organization.
  'token.created': () => nobody,
  'token.revoked': (revoked) => ({
    organizationIds: [revoked.organizationId],
    projectId: revoked.projectId,
    changes: changed('fingerprint', revoked.fingerprint, revoked.newFingerprint),
  }),
  // Keys belong to accounts, not to organizations.
  'token.key_created': () => nobody,
  'token.key_updated': () => nobody,
  'token.key_revoked': () => nobody,
  'billing.subscription_created': ({ organizationId }, { plan }) => ({
    organizationIds: [organizationId],
    subjectId: organizationId,
    changes: changed('plan', '', planName(plan)),
  }),
  'billing.billing_details_updated': ({ organizationId }) => ({
    organizationIds: [organizationId],
    subjectId: organizationId,
  }),
  'billing.plan_changed': ({ organizationId }, { oldPlan, plan }) => ({
    organizationIds: [organizationId],
    subjectId: organizationId,
    changes: changed('plan', planName(oldPlan), planName(plan)),
  }),
};

/**
 * Returns the entry of an event; undefined if the event concerns no organization. The entry of an
 * event that only a newer release can read has the ids that the event names. Pure: the same event
 * always has the same entry.
 */
export function entryOf(event: LoggedActivity): Entry | undefined {
  const fields = fieldsOf(event);
  const organizationIds = [...new Set(fields.organizationIds)].filter((id) => id !== '');
  if (organizationIds.length === 0) return undefined;
  return {
    id: event.id,
    time: event.time,
    type: shortType(event.type),
    actor: event.actor,
    organizationIds,
    projectId: fields.projectId ?? '',
    subjectId: fields.subjectId ?? '',
    moveId: fields.moveId ?? '',
    undoOf: fields.undoOf ?? '',
    changes: fields.changes ?? [],
  };
}

function fieldsOf({ type, body }: LoggedActivity): EntryFields {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return nobody;
  const name = shortType(type);
  if (!isEventName(name)) return namedBy(body);
  try {
    return convert(name, body);
  } catch {
    return namedBy(body); // not the message that this release knows by this name
  }
}

function convert<Name extends EventName>(name: Name, json: JsonObject): EntryFields {
  return converters[name](decodeBody(name, json), json);
}

/** Returns the ids in those fields of a body that mean the same in every event. */
function namedBy(json: JsonObject): EntryFields {
  const { organizationId, oldOrganizationId, newOrganizationId } = json;
  return {
    organizationIds: [organizationId, oldOrganizationId, newOrganizationId].map(textOf),
    projectId: textOf(json.projectId),
    moveId: textOf(json.moveId),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/**
 * Returns `project.moved` for `internal.silo.project.moved.v1`, and `project.moved.v2` for version
 * 2.
 */
function shortType(type: string): string {
  return type.replace(/^internal\.silo\./, '').replace(/\.v1$/, '');
}

/** Returns no change if both values are the same. */
function changed(field: string, from: string, to: string): ActivityChange[] {
  return from === to ? [] : [{ field, from, to }];
}

function levelName(level: unknown): string {
  return enumName(Level, level);
}

function planName(plan: unknown): string {
  return enumName(Plan, plan);
}
