import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { OrganizationFact } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import type { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type { KeyFact, TokenFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { Source } from './position.ts';

/**
 * The values of the kinds of facts. Undefined as a value means that the thing does not exist
 * ("unknown").
 */
export type FactValues = {
  token: TokenFact;
  key: KeyFact;
  project: ProjectFact;
  organization: OrganizationFact;
  membership: Level;
};

export const factKinds = ['token', 'key', 'project', 'organization', 'membership'] as const;
export type FactKind = (typeof factKinds)[number];

/** The source whose events end the facts of each kind. */
export const sourceOfKind = {
  token: 'token',
  key: 'token',
  project: 'project',
  organization: 'org',
  membership: 'org',
} as const satisfies Record<FactKind, Source>;

/**
 * Identifies a fact. `id` is the token itself, the key's SHA-256 in hex, the project, the
 * organization, or `membershipId`. `fingerprint` is given for tokens and keys.
 */
export type FactRef = { kind: FactKind; id: string; fingerprint?: string | undefined };

/** The value of a fact, and the name under which events end it. */
export type Known<Value> = { value: Value | undefined; name: string };

/**
 * The name under which events end a fact: a token's or an unknown key's fingerprint, a known key's
 * key id, else the id itself.
 */
export type FactName = { kind: FactKind; name: string };

/**
 * The facts that an event ends. `everything`: all facts of its source, because this build does not
 * understand the event.
 */
export type Ended = readonly FactName[] | 'everything';

/** The id of an account's membership of an organization. */
export function membershipId(accountId: string, organizationId: string): string {
  return `${accountId} ${organizationId}`;
}

/** The name under which events end the fact that a fetch has found. */
export function nameOf<Kind extends FactKind>(
  { kind, id, fingerprint }: FactRef,
  value: FactValues[Kind] | undefined,
): string {
  if (kind === 'key' && value !== undefined) return (value as KeyFact).keyId;
  return fingerprint ?? id;
}
