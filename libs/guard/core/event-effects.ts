import { decodeBody, type EventBody, type EventName, eventNamed } from '@silo/log/decode-event.ts';
import { type Ended, type FactKind, type FactName, membershipId } from './facts.ts';
import type { Source } from './position.ts';

type SourceEvent = Extract<EventName, `${Source}.${string}`>;

const nothing = (): FactName[] => [];

const organization = ({ organizationId }: { organizationId: string }): FactName[] =>
  namesOf('organization', organizationId);

const member = (body: { accountId: string; organizationId: string }): FactName[] => {
  const { accountId, organizationId } = body;
  const isComplete = accountId !== '' && organizationId !== '';
  return namesOf('membership', isComplete ? membershipId(accountId, organizationId) : '');
};

const project = ({ projectId }: { projectId: string }): FactName[] => namesOf('project', projectId);

/** The facts that each event ends; docs/guard-protocol.md has the same table. */
const effects: { readonly [Name in SourceEvent]: (body: EventBody<Name>) => FactName[] } = {
  'org.account_created': nothing,
  'org.account_updated': nothing,
  'org.organization_created': organization,
  'org.organization_updated': organization,
  'org.organization_deleted': organization,
  'org.member_added': member,
  'org.member_updated': member,
  'org.member_removed': member,
  'org.invite_created': nothing,
  'org.invite_deleted': nothing,
  'org.invite_accepted': nothing,
  'project.created': project,
  'project.updated': project,
  'project.moved': project,
  'project.move_finalized': nothing,
  'project.deleted': project,
  'project.undeleted': project,
  'project.held': project,
  'project.released': project,
  'project.migrated': project,
  'project.events_deleted': project,
  'project.slots_changed': nothing,
  'token.created': ({ fingerprint }) => namesOf('token', fingerprint),
  'token.revoked': ({ fingerprint, newFingerprint }) =>
    namesOf('token', fingerprint, newFingerprint),
  // A known key has its id as name; a secret that was fetched before the key was created has its
  // fingerprint.
  'token.key_created': ({ keyId, fingerprint }) => namesOf('key', keyId, fingerprint),
  'token.key_updated': ({ keyId }) => namesOf('key', keyId),
  'token.key_revoked': ({ keyId, fingerprint, newFingerprint }) =>
    namesOf('key', keyId, fingerprint, newFingerprint),
};

/**
 * The facts that an event of this source ends, by its `ce-type` and its body's proto3 JSON:
 * everything of the source if this build does not know the event or cannot decode it.
 */
export function endedBy(source: Source, type: string, bodyJson: string): Ended {
  const event = eventNamed(type);
  if (event === undefined || !isOf(source, event)) return 'everything';
  try {
    return effectOf(event, bodyJson);
  } catch {
    return 'everything'; // not the message that this build expects under this name
  }
}

function effectOf<Name extends SourceEvent>(event: Name, bodyJson: string): FactName[] {
  return effects[event](decodeBody(event, bodyJson));
}

function isOf(source: Source, event: EventName): event is SourceEvent {
  return event.startsWith(`${source}.`);
}

/** Throws RangeError if the event lacks the first name, which is required. */
function namesOf(kind: FactKind, required: string, ...others: string[]): FactName[] {
  if (required === '') throw new RangeError(`the event names no ${kind}`);
  return [required, ...others.filter((name) => name !== '')].map((name) => ({ kind, name }));
}
