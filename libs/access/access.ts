import type { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { OrganizationFact } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import type { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type { KeyFact, TokenFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { Permit } from './permits.ts';
import type { Reach } from './reach.ts';

/** Required access: the scope, the target, the level and the kind of key. */
export type Demand = {
  /** Such as `project:write`; undefined demands no scope. */
  scope?: string | undefined;
  /**
   * The target: an organization or a project; neither means the account itself. With both, the
   * project is evaluated as one that the organization owned, wherever it is now.
   */
  organizationId?: string | undefined;
  projectId?: string | undefined;
  /** The minimum level in the target's organization; default LEVEL_MEMBER. */
  level?: Level | undefined;
  /**
   * Whether the organization must let the account create projects: this requires ADMIN if members
   * may not.
   */
  createsProjects?: boolean | undefined;
  /**
   * Also allows a target that is gone. A deleted project is evaluated by the organization that
   * owned it; a target that does not exist any more, or not yet, only by the key's restriction.
   */
  evenGone?: boolean | undefined;
  /** The resource that NOT_FOUND names if the target is hidden; default: the target. */
  hiddenAs?: { reason: ErrorReason; detail: string } | undefined;
  /** Whether a restricted key is refused. */
  unrestricted?: boolean | undefined;
  /** The key that the call acts on: a restricted key can see no key other than itself. */
  keyId?: string | undefined;
  /** Access that must not exceed that of the calling key. */
  within?: Reach | undefined;
};

/** Asks whether a key has the required access. */
export type Question = Demand & {
  /** SHA-256 of the API key's secret. */
  keyHash: Uint8Array;
  /**
   * Reads the facts from their owners, not from memory, because the caller has noticed that memory
   * is behind.
   */
  bypassesCache?: boolean | undefined;
};

/** The facts behind an allowed access check. */
export type AccessFacts = {
  key: KeyFact;
  /** The target's organization; undefined if there is no target, or the target is gone. */
  organization?: { id: string; level: Level; fact: OrganizationFact } | undefined;
  /** The target project; undefined if the target is not a project, or is gone. */
  project?: { id: string; fact: ProjectFact } | undefined;
};

/** Why access is refused. */
export type Refusal = {
  reason: ErrorReason;
  /**
   * The missing requirement or the requested target: `scope`, `level`, the id in the request, or
   * another region.
   */
  detail: string;
  /**
   * The present organization of a project that is in another region; given only to members of its
   * former one.
   */
  organizationId?: string | undefined;
};

/** The decision of an access check. A denial has the key if the key itself is valid. */
export type Answer =
  | { allowed: true; facts: AccessFacts }
  | { allowed: false; refusal: Refusal; key?: KeyFact | undefined };

/** The answer to a mutation's access check; if allowed, with the permit to decide the mutation. */
export type PermitAnswer =
  | { allowed: true; facts: AccessFacts; permit: Permit }
  | Extract<Answer, { allowed: false }>;

/** The project of a token, or the refusal. */
export type TokenAnswer =
  | { allowed: true; projectId: string; organizationId: string; project: ProjectFact }
  | { allowed: false; refusal: Refusal };

/** The project of a token for a write; if the token is valid, with the permit for the write. */
export type TokenPermitAnswer =
  | (Extract<TokenAnswer, { allowed: true }> & { permit: Permit })
  | Extract<TokenAnswer, { allowed: false }>;

/** The access checks. They throw only if there is no answer. */
export type Access = {
  /**
   * Returns the project of a token from memory, synchronously; undefined if memory has no answer.
   */
  recallToken(token: string): TokenAnswer | undefined;
  /** Returns the project of a token; synchronously if memory has the answer. */
  verifyToken(token: string, signal: AbortSignal): TokenAnswer | Promise<TokenAnswer>;
  /** Whether a key may read something; synchronously if memory has the answer. */
  authorize(question: Question, signal: AbortSignal): Answer | Promise<Answer>;
  /**
   * Whether a key may change something. The permit is for the one transaction that decides; release
   * it as soon as the transaction's outcome is known.
   */
  permit(question: Question, signal: AbortSignal): Promise<PermitAnswer>;
  /**
   * Checks a token for a write of data into its project. The permit is for one write. A revocation
   * of the token or project waits until the permit is released or expires.
   */
  permitToken(token: string, signal: AbortSignal): Promise<TokenPermitAnswer>;
};

/**
 * Reads facts from their owners, each by one linearizable read; undefined means that the fact does
 * not exist.
 */
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
