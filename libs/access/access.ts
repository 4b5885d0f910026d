import type { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { OrganizationFact } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import type { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type { KeyFact, TokenFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { Permit } from './permits.ts';
import type { Reach } from './reach.ts';

/** Required access: which scope, where, at which level, with what kind of key. */
export type Demand = {
  /** Such as `project:write`; undefined demands no scope. */
  scope?: string | undefined;
  /**
   * The target: an organization or a project; neither: the account itself. Both: the
   * project as one that the organization owned, wherever it is now.
   */
  organizationId?: string | undefined;
  projectId?: string | undefined;
  /** The least level in the target's organization; LEVEL_MEMBER unless given. */
  level?: Level | undefined;
  /** Whether the organization must let the account create projects: ADMIN where members may not. */
  createsProjects?: boolean | undefined;
  /**
   * Allows a target that is gone, too. A deleted project is evaluated by the organization that
   * owned it; what does not exist any more, or not yet, by the key's restriction alone.
   */
  evenGone?: boolean | undefined;
  /** What is said to be not found where the target is hidden; the target itself unless given. */
  hiddenAs?: { reason: ErrorReason; detail: string } | undefined;
  /** Whether a restricted key is refused. */
  unrestricted?: boolean | undefined;
  /** The key that is acted on: a restricted key knows of no other key than itself. */
  keyId?: string | undefined;
  /** What must lie within the calling key. */
  within?: Reach | undefined;
};

/** Whether a key is allowed what is demanded. */
export type Question = Demand & {
  /** SHA-256 of the API key's secret. */
  keyHash: Uint8Array;
  /**
   * Reads the facts from their owners, not from memory: the caller has seen that memory is behind.
   */
  bypassesCache?: boolean | undefined;
};

/** What stands behind an allowed question. */
export type AccessFacts = {
  key: KeyFact;
  /** The target's organization; undefined where the question has no target, or it is gone. */
  organization?: { id: string; level: Level; fact: OrganizationFact } | undefined;
  /** The target project; undefined where the target is none, or it is gone. */
  project?: { id: string; fact: ProjectFact } | undefined;
};

/** Why access is refused. */
export type Refusal = {
  reason: ErrorReason;
  /** The requirement or the requested target: `scope`, `level`, the id sent, or another region. */
  detail: string;
  /** Of a project that is in another region, for members of its former organization: its present one. */
  organizationId?: string | undefined;
};

/** The decision of an access check. A denial has the key if the key itself is valid. */
export type Answer =
  | { allowed: true; facts: AccessFacts }
  | { allowed: false; refusal: Refusal; key?: KeyFact | undefined };

/** The answer to a mutation's question: where it is allowed, with the permit to decide it. */
export type PermitAnswer =
  | { allowed: true; facts: AccessFacts; permit: Permit }
  | Extract<Answer, { allowed: false }>;

/** The answer to whose token it is. */
export type TokenAnswer =
  | { allowed: true; projectId: string; organizationId: string; project: ProjectFact }
  | { allowed: false; refusal: Refusal };

/** The answer to whose token it is, for a write: where it is good, with the permit to do it. */
export type TokenPermitAnswer =
  | (Extract<TokenAnswer, { allowed: true }> & { permit: Permit })
  | Extract<TokenAnswer, { allowed: false }>;

/** The access checks. They throw only if there is no answer. */
export type Access = {
  /** Whose token it is, by memory alone and at once; undefined where memory does not know. */
  recallToken(token: string): TokenAnswer | undefined;
  /** Whose token it is; at once where memory knows. */
  verifyToken(token: string, signal: AbortSignal): TokenAnswer | Promise<TokenAnswer>;
  /** Whether a key may read something; at once where memory knows. */
  authorize(question: Question, signal: AbortSignal): Answer | Promise<Answer>;
  /**
   * Whether a key may change something. The permit is for the one transaction that decides, and is
   * to be released as soon as its outcome is known.
   */
  permit(question: Question, signal: AbortSignal): Promise<PermitAnswer>;
  /**
   * Whose token it is, to put data into its project. The permit is for one write: once the token or
   * the project's state ends, that is waited for until the permit is released or over.
   */
  permitToken(token: string, signal: AbortSignal): Promise<TokenPermitAnswer>;
};

/** The facts, each read from its owner by one linearizable read; undefined: there is none. */
export type FactReader = {
  token(tokenHash: Uint8Array, signal: AbortSignal): Promise<TokenFact | undefined>;
  key(keyHash: Uint8Array, signal: AbortSignal): Promise<KeyFact | undefined>;
  project(projectId: string, signal: AbortSignal): Promise<ProjectFact | undefined>;
  organization(organizationId: string, signal: AbortSignal): Promise<OrganizationFact | undefined>;
  membership(
    accountId: string,
    organizationId: string,
    signal: AbortSignal,
  ): Promise<Level | undefined>;
};
