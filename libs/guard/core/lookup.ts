import type { Answer, Question, TokenAnswer } from '@silo/access/access.ts';
import { decoyOrganizationId } from '@silo/access/decoy.ts';
import {
  evaluateAccess,
  evaluateKey,
  isLive,
  type TargetFacts,
} from '@silo/access/evaluate-access.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import {
  type FactKind,
  type FactName,
  type FactRef,
  type FactValues,
  type Known,
  membershipId,
} from './facts.ts';
import { tokenAnswerOf, tokenRefused } from './memory.ts';

/**
 * The access check. The caller has rejected malformed input, and computed the fingerprint: the
 * first 12 hex digits of the secret's SHA-256; that hash in hex is `keyHash` for a key.
 */
export type AccessCheck =
  | { kind: 'token'; token: string; fingerprint: string }
  | { kind: 'access'; question: Question; keyHash: string };

/** A check that could not be answered from memory. */
export type Lookup = {
  readonly id: number;
  readonly check: AccessCheck;
  /** Whether to take a permit if the answer allows access. */
  readonly wantsPermit: boolean;
  /** The facts that were fetched for this lookup. */
  readonly found: Map<string, Known<unknown>>;
  /** The facts whose fetch this lookup sent, so that their values are newer than its start. */
  readonly sent: Set<string>;
  /** Whether to use only facts whose fetch this lookup sent. */
  doubts: boolean;
  /** Whether to use only facts fetched for this lookup; see `mayBeNonMember`. */
  isFresh: boolean;
  /** Number of fact fetches in progress. */
  waitingFor: number;
  /** Number of rounds of fetches so far. */
  rounds: number;
  over: boolean;
};

/** Returns the cached fact; undefined if there is none. */
export type Recall = <Kind extends FactKind>(
  kind: Kind,
  id: string,
) => Known<FactValues[Kind]> | undefined;

/** An answer with the facts that it depends on, or the facts that are missing. */
export type Verdict =
  | { answer: TokenAnswer | Answer; restsOn: FactName[] }
  | { missing: FactRef[] };

/** The key under which a lookup stores a fact that was found. */
export function foundKey(kind: FactKind, id: string): string {
  return `${kind} ${id}`;
}

/** The decision from the known facts, or the facts that are missing. `now` is the wall clock. */
export function decide(check: AccessCheck, recall: Recall, now: Date): Verdict {
  const gather = new Gathering(recall);
  const answer =
    check.kind === 'token'
      ? decideToken(check.token, check.fingerprint, gather)
      : decideAccess(check.question, check.keyHash, gather, now);
  return answer === undefined ? { missing: gather.missing } : { answer, restsOn: gather.restsOn };
}

/** Whether the check must bypass the cache. */
export function bypassesCache(check: AccessCheck): boolean {
  return check.kind === 'access' && check.question.bypassesCache === true;
}

/**
 * Whether memory does not show that the key's account is a member of the organization in question.
 * Then no part of the answer may come from memory: after checks by others, a hidden target would
 * otherwise be answered faster than one that does not exist.
 */
export function mayBeNonMember(check: AccessCheck, recall: Recall): boolean {
  if (check.kind === 'token') return false;
  const { question, keyHash } = check;
  if (!question.projectId && !question.organizationId) return false;
  const key = recall('key', keyHash);
  // An unknown key is refused whatever its target.
  if (key !== undefined && key.value === undefined) return false;
  const accountId = key?.value?.accountId;
  const organizationId =
    question.organizationId || recall('project', question.projectId ?? '')?.value?.organizationId;
  if (accountId === undefined || !organizationId) return true;
  return !recall('membership', membershipId(accountId, organizationId))?.value;
}

/**
 * The facts behind a refusal that may have changed to allow access, in an event that has not
 * arrived yet. Empty for an unknown key or token, because nobody knows it before it is valid.
 */
export function doubtful(
  check: AccessCheck,
  answer: TokenAnswer | Answer,
  recall: Recall,
  now: Date,
): FactRef[] {
  if (check.kind === 'token' || answer.allowed) return [];
  if (recall('key', check.keyHash)?.value === undefined) return [];
  const refs: FactRef[] = [];
  const noting: Recall = (kind, id) => {
    const known = recall(kind, id);
    if (known !== undefined) refs.push({ kind, id });
    return known;
  };
  decide(check, noting, now);
  return refs;
}

/** Records which facts a decision depends on and which are missing. */
class Gathering {
  readonly restsOn: FactName[] = [];
  readonly missing: FactRef[] = [];
  readonly #recall: Recall;

  constructor(recall: Recall) {
    this.#recall = recall;
  }

  /** The fact; if it is not known, undefined, and the fact is recorded as missing. */
  get<Kind extends FactKind>(
    kind: Kind,
    id: string,
    fingerprint?: string,
  ): Known<FactValues[Kind]> | undefined {
    const known = this.#recall(kind, id);
    if (known === undefined) this.missing.push({ kind, id, fingerprint });
    else this.restsOn.push({ kind, name: known.name });
    return known;
  }
}

function decideToken(
  token: string,
  fingerprint: string,
  gather: Gathering,
): TokenAnswer | undefined {
  const fact = gather.get('token', token, fingerprint);
  if (fact === undefined) return undefined;
  if (fact.value === undefined) return tokenRefused;
  const project = gather.get('project', fact.value.projectId);
  if (project === undefined) return undefined;
  return tokenAnswerOf(fact.value.projectId, project.value);
}

function decideAccess(
  question: Question,
  keyHash: string,
  gather: Gathering,
  now: Date,
): Answer | undefined {
  const key = gather.get('key', keyHash, keyHash.slice(0, 12));
  const target = gatherTarget(question, gather);
  if (key !== undefined && evaluateKey(question, key.value, now) !== undefined) {
    return evaluateAccess(question, key.value, {}, now);
  }
  if (key === undefined || target === undefined) return undefined;
  const organizationId = organizationOf(question, target);
  if (organizationId === undefined || !isLive(key.value, now))
    return evaluateAccess(question, key.value, target, now);
  const level = gather.get('membership', membershipId(key.value.accountId, organizationId));
  const organization = gather.get('organization', organizationId);
  if (level === undefined || organization === undefined) return undefined;
  const facts = { ...target, level: level.value, organization: organization.value };
  return evaluateAccess(question, key.value, facts, now);
}

/**
 * The organization that decides. For a project that does not exist it is a decoy; undefined if
 * there is none.
 */
function organizationOf(
  { projectId, organizationId }: Question,
  { project }: TargetFacts,
): string | undefined {
  if (project !== undefined) return project.organizationId;
  if (organizationId) return organizationId;
  return projectId ? decoyOrganizationId(projectId) : undefined;
}

/** The target's own facts; undefined if they are not known yet. */
function gatherTarget(
  { projectId, organizationId }: Question,
  gather: Gathering,
): TargetFacts | undefined {
  if (!projectId) return {};
  if (organizationId) {
    const state = ProjectState.PROJECT_STATE_ACTIVE;
    return { project: { organizationId, state, capture: undefined, migratedTo: undefined } };
  }
  const project = gather.get('project', projectId);
  return project && { project: project.value };
}

/** An access check of a key, as input of the core. */
export function accessCheck(question: Question): Extract<AccessCheck, { kind: 'access' }> {
  const { keyHash } = question;
  const bytes = Buffer.from(keyHash.buffer, keyHash.byteOffset, keyHash.byteLength);
  return { kind: 'access', question, keyHash: bytes.toString('hex') };
}

/** The check of a well-formed project token, as input of the core. */
export function tokenCheck(token: string): AccessCheck {
  return { kind: 'token', token, fingerprint: fingerprintOf(token) };
}
