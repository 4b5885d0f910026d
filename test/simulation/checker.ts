import type { Answer, TokenAnswer } from '@silo/access/access.ts';
import { type FactKind, type FactRef, membershipId, sourceOfKind } from '@silo/guard/core/facts.ts';
import type { AccessCheck } from '@silo/guard/core/lookup.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { factKey, worldFacts } from './facts-world.ts';
import type { World } from './world.ts';

/** A violated guarantee. */
export type Violation = { kind: 'safety' | 'liveness'; what: string };

const indexOfFact = new Map(worldFacts.map(({ ref }, index) => [factKey(ref), index]));

/**
 * Knows what no process in the simulated world can know: the value of every fact at every time, and
 * which revoking RPCs have returned. A decision may only use the value of a fact at or after the
 * last revoke that had returned when the decision began.
 */
export class Checker {
  readonly #world: World;
  /** By fact: the time of the last revoke that returned OK. */
  readonly #decidedMs = new Float64Array(worldFacts.length).fill(-1);
  violation: Violation | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /** Call this when a revoking RPC returns OK. */
  returned(factIndex: number, decidedMs: number): void {
    this.#decidedMs[factIndex] = Math.max(this.#decidedMs[factIndex] ?? -1, decidedMs);
  }

  /** The revokes that have returned by now; call it when a verification starts. */
  begin(): Float64Array {
    return this.#decidedMs.slice();
  }

  /**
   * Checks an answer. `since` comes from `begin`; undefined if the verification started in this
   * turn.
   */
  answered(
    guardName: string,
    check: AccessCheck,
    answer: TokenAnswer | Answer,
    since: Float64Array = this.#decidedMs,
  ): void {
    if (!answer.allowed) return;
    const wrong =
      'facts' in answer
        ? this.#wrongAccess(check, answer, since)
        : this.#wrongToken(check, answer, since);
    if (wrong !== undefined)
      this.fail('safety', `${guardName} accepts access that was removed: ${wrong}`);
  }

  fail(kind: Violation['kind'], what: string): void {
    if (this.violation !== undefined) return;
    this.violation = { kind, what };
    this.#world.trace(() => `VIOLATION (${kind}): ${what}`);
  }

  #wrongToken(
    check: AccessCheck,
    { projectId, organizationId }: Extract<TokenAnswer, { allowed: true }>,
    since: Float64Array,
  ): string | undefined {
    const token = check.kind === 'token' ? check.token : '';
    const isHeld =
      this.#held('token', token, since, (fact) => fieldOf(fact, 'projectId') === projectId) &&
      this.#held(
        'project',
        projectId,
        since,
        (fact) =>
          fieldOf(fact, 'organizationId') === organizationId &&
          fieldOf(fact, 'state') === ProjectState.PROJECT_STATE_ACTIVE,
      );
    return isHeld ? undefined : `${token} in ${projectId} of ${organizationId}`;
  }

  #wrongAccess(
    check: AccessCheck,
    { facts }: Extract<Answer, { allowed: true }>,
    since: Float64Array,
  ): string | undefined {
    const { key, project, organization } = facts;
    if (check.kind !== 'access' || project === undefined || organization === undefined) {
      return 'another question';
    }
    const membership = membershipId(key.accountId, organization.id);
    if (!this.#held('key', check.keyHash, since, (fact) => fact === key)) return key.keyId;
    if (!this.#held('project', project.id, since, (fact) => fact === project.fact)) {
      return `${key.keyId} in ${project.id}`;
    }
    if (!this.#held('membership', membership, since, (fact) => fact === organization.level)) {
      return `${key.keyId} as ${membership}`;
    }
    const isOpen = this.#held('organization', organization.id, since, (fact) => {
      return fact === organization.fact;
    });
    return isOpen ? undefined : `${key.keyId} in ${organization.id}`;
  }

  #held(
    kind: FactKind,
    id: string,
    since: Float64Array,
    isSuch: (value: unknown) => boolean,
  ): boolean {
    const ref: FactRef = { kind, id };
    const index = indexOfFact.get(factKey(ref));
    const sinceMs = index === undefined ? -1 : (since[index] ?? -1);
    return this.#world.sources[sourceOfKind[kind]].held(ref, sinceMs, isSuch);
  }
}

function fieldOf(fact: unknown, field: string): unknown {
  return typeof fact === 'object' && fact !== null
    ? (fact as Record<string, unknown>)[field]
    : undefined;
}
