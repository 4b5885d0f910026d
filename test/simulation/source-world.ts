import type { Ended, FactKind, FactRef, FactValues } from '@silo/guard/core/facts.ts';
import type { EventPage, GuardEvent } from '@silo/guard/core/messages.ts';
import type { Positions, Source } from '@silo/guard/core/position.ts';
import type { Position } from '@silo/log/position.ts';
import { constantFacts, factKey, type WorldFact } from './facts-world.ts';
import { Machine } from './machine.ts';
import type { World } from './world.ts';

type Value = FactValues[FactKind] | undefined;

/** An event since its commit; it is sequenced later. */
export type Committed = { ends: Ended; atMs: number; sequence: number; isDurable: boolean };

/** A service with its database, event log and relay. Commits are majority-durable at once. */
export class SourceWorld {
  readonly source: Source;
  readonly #world: World;
  /** The machine of the relay. */
  readonly #machine: Machine;
  readonly #history = new Map<string, { atMs: number; value: Value }[]>();
  #outbox: Committed[] = [];
  /** Sequences were lost, so the next ones may be given in another order. */
  #isReordered = false;
  #log: Committed[] = [];
  #durable = 0;
  #published = 0;
  #compacted = 0;
  #life = 1;
  #stale: { atMs: number; untilMs: number } | undefined;

  constructor(world: World, source: Source, facts: readonly WorldFact[]) {
    this.#world = world;
    this.source = source;
    this.#machine = new Machine(world, `${source}-relay`);
    const values = [
      ...facts.map(({ ref, granted }) => ({ ref, value: granted })),
      ...constantFacts,
    ];
    for (const { ref, value } of values) this.#history.set(factKey(ref), [{ atMs: -1, value }]);
  }

  get incarnation(): string {
    return `life-${String(this.#life).padStart(4, '0')}`;
  }

  current(ref: FactRef): Value {
    return this.#history.get(factKey(ref))?.at(-1)?.value;
  }

  /** Whether the fact had such a value at any time from then on. */
  held(ref: FactRef, fromMs: number, isSuch: (value: Value) => boolean): boolean {
    const entries = this.#history.get(factKey(ref)) ?? [];
    return entries.some(({ value }, index) => {
      const endMs = entries[index + 1]?.atMs ?? Number.POSITIVE_INFINITY;
      return endMs > fromMs && isSuch(value);
    });
  }

  commit(fact: WorldFact, value: Value): Committed {
    const { timeline, random, profile } = this.#world;
    this.#history.get(factKey(fact.ref))?.push({ atMs: timeline.nowMs, value });
    const ends: Ended = random.chance(profile.unknownEvents) ? 'everything' : [fact.name];
    const event = { ends, atMs: timeline.nowMs, sequence: 0, isDurable: false };
    this.#outbox.push(event);
    this.#world.trace(() => `${factKey(fact.ref)} becomes ${JSON.stringify(value) ?? 'nothing'}`);
    // The relay sequences events of processes that die before they do.
    timeline.after(random.between(50, 200), () => this.number());
    return event;
  }

  /** Sequences the outbox. */
  number(): void {
    const { random, timeline, protections, profile } = this.#world;
    if (this.#outbox.length === 0) {
      this.#relay();
      return;
    }
    const incarnation = this.incarnation;
    const events = this.#isReordered ? random.shuffle(this.#outbox) : this.#outbox;
    this.#outbox = [];
    this.#isReordered = false;
    for (const event of events) {
      this.#log.push(event);
      event.sequence = this.#log.length;
    }
    const become = () => {
      if (incarnation !== this.incarnation) return;
      const last = events.at(-1);
      if (last === undefined || this.#log[last.sequence - 1] !== last) return;
      this.#durable = Math.max(this.#durable, last.sequence);
      for (const event of this.#log.slice(0, this.#durable)) event.isDurable = true;
      this.#relay();
    };
    const isFaulty = this.#world.network.isFaulty && profile.strokeMs > 0;
    timeline.after(random.between(0.5, isFaulty ? profile.lagMsMax / 4 : 2), become);
    if (!protections['publish-durable-numbers']) this.#relay();
  }

  /**
   * The position of a caller's event; undefined while it may not be returned, -1 if it never will
   * be.
   */
  positionOf(event: Committed, incarnation: string): Position | undefined | -1 {
    if (incarnation !== this.incarnation) return -1;
    return event.isDurable ? { incarnation, sequence: event.sequence } : undefined;
  }

  head(): Position {
    const { protections } = this.#world;
    const sequence = protections['publish-durable-numbers'] ? this.#durable : this.#log.length;
    return { incarnation: this.incarnation, sequence };
  }

  /** Whether every committed event is sequenced durably. */
  get isNumbered(): boolean {
    return this.#outbox.length === 0 && this.#durable === this.#log.length;
  }

  read(afterSequence: number | undefined): EventPage {
    const head = this.head();
    if (afterSequence === undefined) return { events: [], head, isCompacted: false };
    const pageEnd = Math.min(head.sequence, afterSequence + 10);
    return {
      events: this.#log.slice(afterSequence, pageEnd).map(guardEventOf),
      head,
      isCompacted: afterSequence < this.#compacted,
    };
  }

  /** A guard's read of one document; undefined if it failed. */
  fill(ref: FactRef, isPrivate: boolean, applied: Positions): { value: Value } | undefined {
    const { protections, random, profile, timeline } = this.#world;
    if (this.#stale !== undefined && timeline.nowMs < this.#stale.untilMs && random.chance(0.7)) {
      if (protections['fetch-from-primary']) return undefined;
      return { value: this.#valueAt(ref, this.#stale.atMs) };
    }
    if (isPrivate && !protections['fetch-linearizable-without-read-lease']) {
      const sequence = applied[this.source]?.sequence ?? 0;
      const seenMs = this.#log[sequence - 1]?.atMs ?? 0;
      const lagMs = random.between(0, profile.lagMsMax);
      return { value: this.#valueAt(ref, Math.max(seenMs, timeline.nowMs - lagMs)) };
    }
    return { value: this.current(ref) };
  }

  /**
   * Another primary takes over; the old one may serve its old state, and loses what was not
   * durable.
   */
  failOver(staleMs: number): void {
    const { timeline, random } = this.#world;
    this.#world.trace(() => `${this.source} fails over`);
    this.#stale = { atMs: timeline.nowMs, untilMs: timeline.nowMs + staleMs };
    const lost = this.#log.splice(this.#durable);
    this.#outbox = [...lost, ...this.#outbox];
    this.#isReordered = true;
    this.#published = Math.min(this.#published, this.#log.length);
    timeline.after(random.between(10, 100), () => this.number());
  }

  /** Restores a backup of this state: another incarnation of the log, which begins empty. */
  restore(): void {
    this.#world.trace(() => `${this.source} is restored`);
    this.#life++;
    this.#log = [];
    this.#outbox = [];
    this.#durable = 0;
    this.#published = 0;
    this.#compacted = 0;
    this.#relay();
  }

  compact(): void {
    this.#world.trace(() => `${this.source} is compacted`);
    this.#compacted = this.#durable;
  }

  heal(): void {
    this.#stale = undefined;
    this.number();
  }

  #valueAt(ref: FactRef, atMs: number): Value {
    const entries = this.#history.get(factKey(ref)) ?? [];
    return entries.findLast((entry) => entry.atMs <= atMs)?.value;
  }

  #relay(): void {
    const head = this.head();
    const events = this.#log.slice(this.#published, head.sequence).map(guardEventOf);
    if (events.length > 0) this.#world.broker.broadcast({ source: this.source, head, events });
    this.#published = Math.max(this.#published, head.sequence);
    this.#require(head);
  }

  #require(head: Position): void {
    if (head.incarnation !== this.incarnation) return;
    const { registry, timeline } = this.#world;
    registry.call(
      this.#machine,
      { kind: 'require', positions: { [this.source]: head } },
      200,
      (reply) => {
        if (reply?.kind !== 'required') timeline.after(50, () => this.#require(head));
      },
    );
  }
}

function guardEventOf({ sequence, ends }: Committed): GuardEvent {
  return { sequence, ends };
}
