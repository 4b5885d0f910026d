import { type FactRef, sourceOfKind } from '@silo/guard/core/facts.ts';
import type { Permit } from '@silo/guard/core/permits.ts';
import { accessQuestions, factKey, worldFacts } from './facts-world.ts';
import type { GuardProcess } from './guard-process.ts';
import { leaseMs } from './numbers.ts';
import type { Committed } from './source-world.ts';
import type { World } from './world.ts';

/** The result of an RPC that removes access; undefined if it did not return OK. */
export type Returned = { elapsedMs: number } | undefined;

/**
 * One RPC as its handler runs it: authorize and take a permit, decide in one transaction, release,
 * read the position, await the barrier, return.
 */
export class Change {
  readonly #world: World;
  readonly #process: GuardProcess;
  readonly #factIndex: number;
  readonly #done: (returned: Returned) => void;
  #takesAway = false;

  constructor(
    world: World,
    process: GuardProcess,
    factIndex: number,
    done: (returned: Returned) => void,
  ) {
    this.#world = world;
    this.#process = process;
    this.#factIndex = factIndex;
    this.#done = done;
  }

  /**
   * By staff, so that it certainly removes access, even if another call has removed it meanwhile.
   */
  revoke(): void {
    this.#takesAway = true;
    this.run(false);
  }

  /** With `isPermitted`, by the guard of the process; otherwise the caller is staff. */
  run(isPermitted: boolean): void {
    const { random, checker } = this.#world;
    if (!isPermitted) {
      this.#transact(undefined, () => {});
      return;
    }
    const check = random.pick(accessQuestions);
    const process = this.#process;
    process.lookup(check, true, (outcome) => {
      if (outcome === undefined || !outcome.answer.allowed) return;
      const { answer } = outcome;
      this.#transact(outcome.permit, () => {
        checker.answered(`a mutation of ${process.machine.name}`, check, answer);
      });
    });
  }

  #transact(permit: Permit | undefined, check: () => void): void {
    const { random, profile, network, timeline } = this.#world;
    const { machine } = this.#process;
    const tookMsMax = network.isFaulty ? profile.mutationMsMax : 5;
    const bodyMs = random.between(0, tookMsMax);
    machine.after(bodyMs, () => {
      const heldMs =
        permit === undefined
          ? Number.POSITIVE_INFINITY
          : this.#process.core.permitRemainingMs(permit, machine.read());
      if (heldMs === 0) return;
      const { life } = machine;
      // The database executes what was sent, whatever happens to the process.
      timeline.after(random.between(0, Math.min(heldMs / 2, tookMsMax - bodyMs)), () => {
        check();
        const decided = this.#decide();
        const end = () => {
          if (permit !== undefined) this.#process.step({ kind: 'releasePermit', permit });
          if (decided.isRevoke) this.#learnPosition(decided);
        };
        machine.run(() => machine.after(random.between(0.2, 2), end), life);
      });
    });
  }

  /** The transaction: removes, restores, or finds that access was removed already. */
  #decide(): { isRevoke: boolean; atMs: number; event: Committed | undefined; life: string } {
    const { random, timeline, sources } = this.#world;
    const fact = this.#fact;
    const source = sources[sourceOfKind[fact.ref.kind]];
    const isGranted = source.current(fact.ref) === fact.granted;
    const isRevoke = isGranted || this.#takesAway || random.chance(0.3);
    const value = isGranted ? random.pick(fact.taken) : fact.granted;
    const event = isGranted || !isRevoke ? source.commit(fact, value) : undefined;
    return { isRevoke, atMs: timeline.nowMs, event, life: source.incarnation };
  }

  /**
   * Sequences the outbox, and waits until the sequence of the event, or of the head, may be
   * returned.
   */
  #learnPosition(decided: { atMs: number; event: Committed | undefined; life: string }): void {
    const source = this.#world.sources[sourceOfKind[this.#fact.ref.kind]];
    const { machine } = this.#process;
    source.number();
    const look = () => {
      const position = decided.event
        ? source.positionOf(decided.event, decided.life)
        : source.isNumbered
          ? source.head()
          : undefined;
      if (position === -1) return;
      if (position === undefined) return machine.after(3, look);
      const startedMs = this.#world.timeline.nowMs;
      this.#awaitBarrier({ [source.source]: position }, decided.atMs, startedMs);
    };
    machine.after(1, look);
  }

  #awaitBarrier(
    positions: Partial<Record<string, { incarnation: string; sequence: number }>>,
    decidedMs: number,
    startedMs: number,
  ): void {
    const { registry, timeline, checker } = this.#world;
    const { machine } = this.#process;
    const call = { kind: 'awaitBarrier', positions } as const;
    registry.call(machine, call, leaseMs + 300, (reply) => {
      const elapsedMs = timeline.nowMs - startedMs;
      if (reply?.kind === 'passed') {
        this.#world.trace(
          () => `${machine.name} returns: ${this.#name} ${JSON.stringify(reply.report)}`,
        );
        checker.returned(this.#factIndex, decidedMs);
        return this.#done({ elapsedMs });
      }
      if (elapsedMs > 3 * leaseMs) return this.#done(undefined);
      machine.after(10, () => this.#awaitBarrier(positions, decidedMs, startedMs));
    });
  }

  get #fact() {
    const fact = worldFacts[this.#factIndex];
    if (fact === undefined) throw new RangeError('no such fact');
    return fact;
  }

  get #name(): string {
    const ref: FactRef = this.#fact.ref;
    return `${factKey(ref)} was taken away`;
  }
}
