import type { Demand, Permit } from '@silo/mongo/mutation.ts';
import type { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { OrganizationFact } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import type { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type { KeyFact, TokenFact } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';

/** Whether a key is allowed what is demanded. */
export type Question = Demand & {
  /** SHA-256 of the API key's secret. */
  keyHash: Uint8Array;
  /** Asks the facts' owners, whatever is remembered: the caller has seen that memory is behind. */
  asksOwners?: boolean | undefined;
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
  /** What is required or was asked for: `scope`, `level`, or the id sent. */
  detail: string;
};

/** The answer to a question. A refusal tells the key where the key itself is good. */
export type Answer =
  | { allowed: true; facts: AccessFacts }
  | { allowed: false; refusal: Refusal; key?: KeyFact | undefined };

/** The answer to a mutation's question: where it is allowed, with the permit to decide it. */
export type PermitAnswer =
  | { allowed: true; facts: AccessFacts; permit: Permit }
  | Extract<Answer, { allowed: false }>;

/** The answer to whose token it is. */
export type TokenAnswer =
  | { allowed: true; projectId: string; organizationId: string }
  | { allowed: false; refusal: Refusal };

/** How everyone asks about access. Throws only where the answer could not be had. */
export type Access = {
  /** Whose token it is; at once where memory knows. */
  verifyToken(token: string, signal: AbortSignal): TokenAnswer | Promise<TokenAnswer>;
  /** Whether a key may read something; at once where memory knows. */
  authorize(question: Question, signal: AbortSignal): Answer | Promise<Answer>;
  /**
   * Whether a key may change something. The permit is for the one transaction that decides, and is
   * to be released as soon as its outcome is known.
   */
  permit(question: Question, signal: AbortSignal): Promise<PermitAnswer>;
};

/** The facts, each read from its owner by one linearizable read; undefined: there is none. */
export type Fills = {
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
