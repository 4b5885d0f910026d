import type { GuardEvent } from '@silo/guard/core/messages.ts';
import {
  sources as eachSource,
  laterOf,
  type Positions,
  type Source,
} from '@silo/guard/core/position.ts';
import type { Position } from '@silo/log/position.ts';
import type { AcknowledgedMessage } from '@silo/token-service/registry/messages.ts';
import type { GuardProcess } from './guard-process.ts';
import type { Machine } from './machine.ts';
import type { World } from './world.ts';

/** An event batch. */
export type Batch = { source: Source; head: Position; events: readonly GuardEvent[] };

/** Number of messages of each kind that are kept for replays. */
const seenMax = 60;

/**
 * The NATS of the simulated world, which is hostile: it sees every message, and forges, replays,
 * reorders and withholds them. It has no key, so its forgeries are not authentic.
 */
export class HostileBroker {
  readonly #world: World;
  readonly #batches: Batch[] = [];
  readonly #acknowledgements: AcknowledgedMessage[] = [];
  /** The last position of each log that it has seen. */
  #heads: Positions = {};
  #forgesAcknowledgementsUntilMs = 0;
  readonly #withheld = new Map<GuardProcess, Batch[]>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Called when a source broadcasts. */
  broadcast(batch: Batch): void {
    const { timeline } = this.#world;
    keep(this.#batches, batch);
    this.#heads = laterOf(this.#heads, { [batch.source]: batch.head });
    this.#deliverBatch(batch, true);
    if (timeline.nowMs < this.#forgesAcknowledgementsUntilMs) this.#forgeAcknowledgements();
  }

  /** Called when a guard acknowledges. */
  acknowledge(message: AcknowledgedMessage, from: Machine): void {
    keep(this.#acknowledgements, message);
    this.#deliverAcknowledgement(message, true, from);
  }

  /**
   * Forges harmless events with the next sequences of a log, as if its source had broadcast them.
   */
  forgeBatch(source: Source): void {
    const head = this.#heads[source];
    if (head === undefined) return;
    this.#deliverBatch(this.#harmlessAfter(source, head, true), false);
  }

  /** A faulty source broadcasts events past the head in its own batch. */
  misbroadcast(source: Source): void {
    const head = this.#heads[source];
    if (head !== undefined) this.#deliverBatch(this.#harmlessAfter(source, head, false), true);
  }

  /** For this time, acknowledges every broadcast in the name of every lease. */
  forgeAcknowledgements(durationMs: number): void {
    this.#world.trace(() => `acknowledgements are forged for ${Math.round(durationMs)}ms`);
    this.#forgesAcknowledgementsUntilMs = this.#world.timeline.nowMs + durationMs;
    this.#forgeAcknowledgements();
  }

  /** Delivers some of the seen messages again, in any order. */
  replay(): void {
    const { random } = this.#world;
    for (const batch of random.shuffle([...this.#batches]).slice(0, 10)) {
      this.#deliverBatch(batch, true);
    }
    for (const message of random.shuffle([...this.#acknowledgements]).slice(0, 10)) {
      this.#deliverAcknowledgement(message, true);
    }
  }

  /** Withholds all batches from a guard, and then delivers them, the last first. */
  withhold(guard: GuardProcess, durationMs: number): void {
    if (this.#withheld.has(guard)) return;
    const withheld: Batch[] = [];
    this.#withheld.set(guard, withheld);
    this.#world.timeline.after(durationMs, () => {
      this.#withheld.delete(guard);
      for (const batch of withheld.toReversed()) this.#deliverTo(guard, batch, true);
    });
  }

  /** The holder of another certificate renews or releases a lease whose id it has read on NATS. */
  stealLease(thief: Machine): void {
    const { random, registry } = this.#world;
    const leaseId = this.#acknowledgements.at(-1)?.leaseId;
    if (leaseId === undefined) return;
    const owner = 'guard/thief';
    const claims = { applied: this.#heads, acknowledged: this.#heads };
    const call = random.chance(0.5)
      ? ({ kind: 'renew', leaseId, owner, ...claims } as const)
      : ({ kind: 'release', leaseId, owner } as const);
    registry.call(thief, call, 100, () => {});
  }

  #forgeAcknowledgements(): void {
    const { random } = this.#world;
    const latest = new Map(this.#acknowledgements.map((message) => [message.leaseId, message]));
    for (const message of latest.values()) {
      // Sequences raised up to the plausible maximum, or far beyond it.
      const positions = random.chance(0.7) ? this.#heads : raised(message.positions, 1_000_000);
      this.#deliverAcknowledgement({ ...message, positions, applied: positions }, false);
    }
  }

  #harmlessAfter(source: Source, head: Position, statesHead: boolean): Batch {
    const count = 1 + this.#world.random.below(5);
    const events = Array.from({ length: count }, (_, index) => {
      return { sequence: head.sequence + 1 + index, ends: [] };
    });
    const { incarnation, sequence } = head;
    const last = { incarnation, sequence: sequence + count };
    return { source, head: statesHead ? last : head, events };
  }

  #deliverBatch(batch: Batch, isAuthentic: boolean): void {
    const { network, guards, registry } = this.#world;
    for (const guard of guards) {
      const withheld = isAuthentic ? this.#withheld.get(guard) : undefined;
      if (withheld === undefined) this.#deliverTo(guard, batch, isAuthentic);
      else withheld.push(batch);
    }
    for (const replica of registry.replicas) {
      network.publish(replica.machine, () => replica.receiveBatch(batch, isAuthentic));
    }
  }

  #deliverTo(guard: GuardProcess, batch: Batch, isAuthentic: boolean): void {
    const { network } = this.#world;
    network.publish(guard.machine, () => guard.receive(batch, isAuthentic));
  }

  #deliverAcknowledgement(
    message: AcknowledgedMessage,
    isAuthentic: boolean,
    from?: Machine,
  ): void {
    const { network, registry } = this.#world;
    for (const replica of registry.replicas) {
      const receive = () => replica.receiveAcknowledgement(message, isAuthentic);
      network.publish(replica.machine, receive, from);
    }
  }
}

function keep<Message>(seen: Message[], message: Message): void {
  if (seen.length >= seenMax) seen.shift();
  seen.push(message);
}

function raised(positions: Positions, by: number): Positions {
  const higher: Positions = {};
  for (const source of eachSource) {
    const position = positions[source];
    if (position !== undefined) higher[source] = { ...position, sequence: position.sequence + by };
  }
  return higher;
}
