import type { JsonObject } from '@bufbuild/protobuf';
import * as events from '@silo/protos/gen/silo/events/v1/events.ts';
import { type Decoder, fromJson } from '@silo/protos/json.ts';
import { parseEventType } from './event-types.ts';

/**
 * The message of each event's body, by service and event.
 * @internal Exported for tests.
 */
export const eventMessages = {
  'org.account_created': events.AccountCreated,
  'org.account_updated': events.AccountUpdated,
  'org.organization_created': events.OrganizationCreated,
  'org.organization_updated': events.OrganizationUpdated,
  'org.organization_deleted': events.OrganizationDeleted,
  'org.member_added': events.MemberAdded,
  'org.member_updated': events.MemberUpdated,
  'org.member_removed': events.MemberRemoved,
  'org.invite_created': events.InviteCreated,
  'org.invite_deleted': events.InviteDeleted,
  'org.invite_accepted': events.InviteAccepted,
  'project.created': events.ProjectCreated,
  'project.updated': events.ProjectUpdated,
  'project.moved': events.ProjectMoved,
  'project.move_finalized': events.MoveFinalized,
  'project.deleted': events.ProjectDeleted,
  'project.undeleted': events.ProjectUndeleted,
  'project.held': events.ProjectHeld,
  'project.released': events.ProjectReleased,
  'project.migrated': events.ProjectMigrated,
  'project.events_deleted': events.EventsDeleted,
  'project.slots_changed': events.SlotsChanged,
  'token.created': events.TokenCreated,
  'token.revoked': events.TokenRevoked,
  'token.key_created': events.ApiKeyCreated,
  'token.key_updated': events.ApiKeyUpdated,
  'token.key_revoked': events.ApiKeyRevoked,
  'billing.subscription_created': events.SubscriptionCreated,
  'billing.billing_details_updated': events.BillingDetailsUpdated,
  'billing.plan_changed': events.PlanChanged,
} as const;

/** Such as `project.moved`. */
export type EventName = keyof typeof eventMessages;

/** The decoded body of an event. */
export type EventBody<Name extends EventName> = ReturnType<(typeof eventMessages)[Name]['decode']>;

/** The event that a `ce-type` names; undefined if this build does not know it. */
export function eventNamed(type: string): EventName | undefined {
  const parts = parseEventType(type);
  const name = parts && `${parts.service}.${parts.event}`;
  return name !== undefined && isEventName(name) ? name : undefined;
}

/**
 * Decodes the body of an event, as text or parsed JSON, that this or a newer release wrote: see
 * `fromJson`. Throws if it is not valid for the event's message.
 */
export function decodeBody<Name extends EventName>(
  name: Name,
  body: string | JsonObject,
): EventBody<Name> {
  const message: Decoder<unknown> = eventMessages[name];
  const json: JsonObject = typeof body === 'string' ? JSON.parse(body) : body;
  return fromJson(message, json) as EventBody<Name>;
}

/** Whether this build knows an event such as `project.moved`. */
export function isEventName(name: string): name is EventName {
  return Object.hasOwn(eventMessages, name);
}
