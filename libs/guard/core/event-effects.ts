import { type Ended, type FactName, membershipId } from './facts.ts';
import type { Source } from './position.ts';

/** The body of an event as its JSON is: names in camelCase. */
type Body = Readonly<Record<string, unknown>>;

type Effect = (body: Body) => FactName[] | undefined;

const nothing: Effect = () => [];

const token: Effect = (body) => names(body, 'token', ['fingerprint'], ['newFingerprint']);

// A known key is found by its id, a secret that was fetched too early by its fingerprint.
const key: Effect = (body) => names(body, 'key', ['keyId'], ['fingerprint', 'newFingerprint']);

const project: Effect = (body) => names(body, 'project', ['projectId'], []);

const organization: Effect = (body) => names(body, 'organization', ['organizationId'], []);

const member: Effect = ({ accountId, organizationId }) =>
  isText(accountId) && isText(organizationId)
    ? [{ kind: 'membership', name: membershipId(accountId, organizationId) }]
    : undefined;

/** Which facts each event ends: the table of design §4. */
const effects: Record<Source, Readonly<Record<string, Effect>>> = {
  org: {
    account_created: nothing,
    account_updated: nothing,
    organization_created: organization,
    organization_updated: organization,
    organization_deleted: organization,
    member_added: member,
    member_updated: member,
    member_removed: member,
    invite_created: nothing,
    invite_deleted: nothing,
    invite_accepted: nothing,
  },
  project: {
    created: project,
    updated: project,
    moved: project,
    move_finalized: nothing,
    deleted: project,
    undeleted: project,
    slots_changed: nothing,
  },
  token: {
    created: token,
    revoked: token,
    key_created: key,
    key_updated: key,
    key_revoked: key,
  },
};

/**
 * What an event ends. `event` is the name within its source, such as `moved`; `body` its proto3
 * JSON, parsed. Whatever is not understood ends everything of the source.
 */
export function endedBy(source: Source, event: string, body: unknown): Ended {
  const ofSource = effects[source];
  if (!Object.hasOwn(ofSource, event)) return 'everything';
  if (typeof body !== 'object' || body === null) return 'everything';
  return ofSource[event]?.(body as Body) ?? 'everything';
}

function names(
  body: Body,
  kind: FactName['kind'],
  required: readonly string[],
  optional: readonly string[],
): FactName[] | undefined {
  const found: FactName[] = [];
  for (const field of required) {
    const name = body[field];
    if (!isText(name)) return undefined;
    found.push({ kind, name });
  }
  for (const field of optional) {
    const name = body[field];
    if (isText(name)) found.push({ kind, name });
  }
  return found;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
