import {
  type FactKind,
  type FactName,
  type FactRef,
  type FactValues,
  membershipId,
} from '@silo/guard/core/facts.ts';
import type { AccessCheck } from '@silo/guard/core/lookup.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { secretLength } from '@silo/tokens/secrets.ts';

/** A fact in the world: what it grants, and its values after each way of removing that. */
export type WorldFact = {
  ref: FactRef;
  /** The name in its events. */
  name: FactName;
  granted: FactValues[FactKind];
  taken: readonly (FactValues[FactKind] | undefined)[];
};

const organizationId = 'O';
const elsewhere = 'X';
const names = ['0', '1'] as const;

const active = ProjectState.PROJECT_STATE_ACTIVE;
const deleted = ProjectState.PROJECT_STATE_DELETED;

/** A token of real length, so that it is answered from the same table. */
function tokenOf(name: string): string {
  return `T${name}`.padEnd(secretLength, 'x');
}

function tokenFact(name: string): WorldFact {
  return {
    ref: { kind: 'token', id: tokenOf(name), fingerprint: `fT${name}` },
    name: { kind: 'token', name: `fT${name}` },
    granted: { projectId: `P${name}` },
    taken: [undefined],
  };
}

function keyFact(name: string): WorldFact {
  const granted: FactValues['key'] = {
    keyId: `K${name}`,
    accountId: `A${name}`,
    scopes: ['project:write'],
    organizationIds: [],
    projectIds: [],
    expireTime: undefined,
    disabled: false,
  };
  return {
    ref: { kind: 'key', id: keyHashOf(name), fingerprint: keyHashOf(name).slice(0, 12) },
    name: { kind: 'key', name: `K${name}` },
    granted,
    taken: [undefined, { ...granted, disabled: true }, { ...granted, scopes: ['project:read'] }],
  };
}

function projectFact(name: string): WorldFact {
  const id = `P${name}`;
  return {
    ref: { kind: 'project', id },
    name: { kind: 'project', name: id },
    granted: { organizationId, state: active, capture: undefined, migratedTo: undefined },
    taken: [
      { organizationId: elsewhere, state: active, capture: undefined, migratedTo: undefined },
      { organizationId, state: deleted, capture: undefined, migratedTo: undefined },
    ],
  };
}

function membershipFact(name: string): WorldFact {
  const id = membershipId(`A${name}`, organizationId);
  return {
    ref: { kind: 'membership', id },
    name: { kind: 'membership', name: id },
    granted: Level.LEVEL_ADMIN,
    taken: [undefined, Level.LEVEL_MEMBER],
  };
}

const organizationFact: WorldFact = {
  ref: { kind: 'organization', id: organizationId },
  name: { kind: 'organization', name: organizationId },
  granted: { membersMayCreateProjects: true },
  taken: [undefined],
};

/**
 * All facts that can change. Project X's organization exists, and has none of these accounts as a
 * member.
 */
export const worldFacts: readonly WorldFact[] = [
  ...names.map(tokenFact),
  ...names.map(keyFact),
  ...names.map(projectFact),
  ...names.map(membershipFact),
  organizationFact,
];

/** Facts that never change. */
export const constantFacts: readonly { ref: FactRef; value: FactValues[FactKind] }[] = [
  { ref: { kind: 'organization', id: elsewhere }, value: { membersMayCreateProjects: true } },
];

export function factKey({ kind, id }: FactRef): string {
  return `${kind} ${id}`;
}

function keyHashOf(name: string): string {
  return `hash-of-key-${name}`;
}

const keyHash = new Uint8Array(32);

/** A check of a token. */
function tokenCheckOf(name: string): AccessCheck {
  return { kind: 'token', token: tokenOf(name), fingerprint: `fT${name}` };
}

/** Checks whether this key has the access of an admin to that project. */
function accessCheckOf(key: string, project: string): AccessCheck {
  const question = {
    keyHash,
    scope: 'project:write',
    projectId: `P${project}`,
    level: Level.LEVEL_ADMIN,
  };
  return { kind: 'access', question, keyHash: keyHashOf(key) };
}

const tokenQuestions = names.map(tokenCheckOf);
export const accessQuestions = names.flatMap((key) => names.map((to) => accessCheckOf(key, to)));
export const questions: readonly AccessCheck[] = [...tokenQuestions, ...accessQuestions];
