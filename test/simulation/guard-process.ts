import type { Answer, TokenAnswer } from '@silo/access/access.ts';
import { sourceOfKind } from '@silo/guard/core/facts.ts';
import { GuardCore } from '@silo/guard/core/guard-core.ts';
import type { AccessCheck } from '@silo/guard/core/lookup.ts';
import type { EventPage, FetchReply, GuardAction, GuardInput } from '@silo/guard/core/messages.ts';
import type { Permit } from '@silo/guard/core/permits.ts';
import { sources as eachSource, type Positions } from '@silo/guard/core/position.ts';
import { hasReached, type Position } from '@silo/log/position.ts';
import type { Batch } from './hostile-broker.ts';
import { Machine } from './machine.ts';
import { guardNumbers, leaseMs } from './numbers.ts';
import type { World } from './world.ts';

/** The result of a lookup; undefined if it failed closed. */
export type Outcome = { answer: TokenAnswer | Answer; permit: Permit | undefined } | undefined;

/**
 * What a faulty guard reports as its position: past the log, of another incarnation, or not
 * applied.
 */
export type Overstatement = 'log' | 'incarnation' | 'applied';

type Claims = { applied: Positions; acknowledged: Positions };

/** A process with an embedded guard: the real core, and a shell around it. */
export class GuardProcess {
  readonly machine: Machine;
  readonly #world: World;
  readonly #guardName: string;
  core: GuardCore;
  /** How it overstates its positions, if it does. */
  overstates: Overstatement | undefined;
  #waiting = new Map<number, (outcome: Outcome) => void>();
  #lastLookupId = 0;
  #leases = 0;
  #tickAtMs = Number.POSITIVE_INFINITY;

  constructor(world: World, name: string, guardName: string) {
    this.#world = world;
    this.#guardName = guardName;
    this.machine = new Machine(world, name);
    this.machine.isUp = false;
    this.core = this.#newCore();
  }

  start(): void {
    this.machine.restart();
    this.core = this.#newCore();
    this.#waiting = new Map();
    this.#tickAtMs = Number.POSITIVE_INFINITY;
    this.step({ kind: 'start' });
    // The subscription starts a little later, so events in between are read from the logs.
    this.machine.after(this.#world.random.between(0, 40), () => this.step({ kind: 'missed' }));
  }

  /** The identity in its certificate. */
  get owner(): string {
    return `guard/${this.machine.name}`;
  }

  /** An event batch on NATS. */
  receive({ source, head, events }: Batch, isAuthentic: boolean): void {
    if (!isAuthentic && this.#world.protections['authentic-batches']) return;
    this.step({ kind: 'batch', source, head, events });
  }

  step(input: GuardInput): void {
    for (const action of this.core.step(input, this.machine.read())) this.#perform(action);
    this.#scheduleTick();
  }

  /** The answer from memory, in the same turn. */
  recall(check: AccessCheck): TokenAnswer | Answer | undefined {
    const now = this.machine.read();
    return check.kind === 'token'
      ? this.core.verifyToken(check.token, now)
      : this.core.recall(check, now);
  }

  lookup(check: AccessCheck, wantsPermit: boolean, done: (outcome: Outcome) => void): void {
    const lookupId = ++this.#lastLookupId;
    this.#waiting.set(lookupId, done);
    this.step({ kind: 'lookup', lookupId, check, wantsPermit });
  }

  get hasReadLease(): boolean {
    return this.core.hasReadLease(this.machine.read());
  }

  #newCore(): GuardCore {
    const newLeaseId = () => `${this.machine.name}-${this.machine.life}-${++this.#leases}`;
    const { factsMax } = this.#world.profile;
    const settings = { ...guardNumbers, factsMax, newLeaseId, guardName: this.#guardName };
    return new GuardCore(settings, this.#world.protections);
  }

  #perform(action: GuardAction): void {
    switch (action.kind) {
      case 'acquire':
        this.#acquire(action);
        break;
      case 'renew':
        this.#renew(action);
        break;
      case 'release':
        this.#world.registry.call(
          this.machine,
          { ...action, owner: this.owner },
          leaseMs,
          () => {},
        );
        break;
      case 'acknowledge':
        this.#acknowledge(action);
        break;
      case 'readEvents':
        this.#readEvents(action);
        break;
      case 'fetchFact':
        this.#fill(action);
        break;
      case 'answer':
        this.#finish(action.lookupId, action);
        break;
      case 'ended':
        break;
      case 'unavailable':
        this.#finish(action.lookupId, undefined);
        break;
    }
  }

  #finish(lookupId: number, outcome: Outcome): void {
    const done = this.#waiting.get(lookupId);
    this.#waiting.delete(lookupId);
    done?.(outcome);
  }

  #acquire({ requestId, leaseId, guardName }: Extract<GuardAction, { kind: 'acquire' }>): void {
    const call = { kind: 'acquire', leaseId, owner: this.owner, guardName } as const;
    this.#world.registry.call(this.machine, call, 2 * leaseMs, (reply) => {
      const acquired = reply?.kind === 'acquired' ? reply : undefined;
      const answer = reply?.kind === 'taken' ? 'taken' : acquired;
      this.step({ kind: 'acquired', requestId, reply: answer });
    });
  }

  #renew({ requestId, ...action }: Extract<GuardAction, { kind: 'renew' }>): void {
    const call = { ...action, owner: this.owner, ...this.#claims(action) };
    this.#world.registry.call(this.machine, call, 2 * leaseMs, (reply) => {
      const answer = reply?.kind === 'renewed' ? reply.answer : undefined;
      const { name } = this.machine;
      this.#world.trace(() => `${name} renewal ${requestId}: ${JSON.stringify(answer)}`);
      this.step({ kind: 'renewed', requestId, reply: answer });
    });
  }

  #acknowledge(action: Extract<GuardAction, { kind: 'acknowledge' }>): void {
    const { leaseId, guardName } = action;
    const { acknowledged: positions, applied } = this.#claims({
      acknowledged: action.positions,
      applied: action.applied,
    });
    this.#world.broker.acknowledge({ leaseId, guardName, positions, applied }, this.machine);
  }

  #claims(honest: Claims): Claims {
    const { sources } = this.#world;
    switch (this.overstates) {
      case undefined:
        return honest;
      case 'log':
        return overstated(honest, ({ sequence }) => ({ sequence: sequence + 1_000 }));
      case 'incarnation':
        return overstated(honest, () => ({ incarnation: 'life-9999' }));
      case 'applied': {
        // If everything is applied already, the registry has nothing to reject.
        const acknowledged = { ...honest.acknowledged };
        for (const source of eachSource) {
          const head = sources[source].head();
          if (!hasReached(honest.applied[source], head)) acknowledged[source] = head;
        }
        return { applied: honest.applied, acknowledged };
      }
    }
  }

  #readEvents(action: Extract<GuardAction, { kind: 'readEvents' }>): void {
    const { requestId, source, afterSequence } = action;
    const { network, sources } = this.#world;
    network.call<EventPage>(
      this.machine,
      'sources',
      'readEvents',
      leaseMs,
      (answer) => answer(sources[source].read(afterSequence)),
      (page) => this.step({ kind: 'read', requestId, source, page }),
    );
  }

  #fill({ fetchId, ref, isPrivate }: Extract<GuardAction, { kind: 'fetchFact' }>): void {
    const { network, sources } = this.#world;
    const applied = this.core.positions();
    network.call<FetchReply>(
      this.machine,
      'sources',
      'fetchFact',
      leaseMs,
      (answer) => answer(sources[sourceOfKind[ref.kind]].fill(ref, isPrivate, applied)),
      (reply) => this.step({ kind: 'factFetched', fetchId, reply }),
    );
  }

  #scheduleTick(): void {
    const inMs = this.core.wakeMonotonicMs() - this.machine.read().monotonicMs;
    if (inMs === Number.POSITIVE_INFINITY) return;
    const atMs = this.#world.timeline.nowMs + Math.max(inMs, 0.1);
    if (atMs >= this.#tickAtMs - 0.01) return;
    this.#tickAtMs = atMs;
    this.machine.after(Math.max(inMs, 0.1), () => {
      if (this.#tickAtMs !== atMs) return;
      this.#tickAtMs = Number.POSITIVE_INFINITY;
      this.step({ kind: 'tick' });
    });
  }
}

function overstated(honest: Claims, change: (position: Position) => Partial<Position>): Claims {
  const changed = (positions: Positions): Positions => {
    const claims: Positions = {};
    for (const source of eachSource) {
      const position = positions[source];
      if (position !== undefined) claims[source] = { ...position, ...change(position) };
    }
    return claims;
  };
  return { applied: changed(honest.applied), acknowledged: changed(honest.acknowledged) };
}
