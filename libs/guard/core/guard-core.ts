import type { Answer, TokenAnswer } from '@silo/access/access.ts';
import { comparePositions, type Position } from '@silo/log/position.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { FactFetches } from './fact-fetches.ts';
import { type Ended, sourceOfKind } from './facts.ts';
import type { Reading } from './fence.ts';
import { Follower } from './follower.ts';
import { Lease } from './lease.ts';
import { type AccessCheck, bypassesCache, decide, doubtful, type Recall } from './lookup.ts';
import { Lookups } from './lookups.ts';
import { Memory } from './memory.ts';
import type { GuardAction, GuardEvent, GuardInput } from './messages.ts';
import { type Permit, Permits } from './permits.ts';
import { type Positions, type Source, sources } from './position.ts';
import { allProtections, type Protections } from './protections.ts';
import { checkGuardSettings, type GuardSettings } from './settings.ts';

/**
 * The guard as a pure state machine (docs/guard-protocol.md): inputs and clock readings in, actions
 * out; no I/O, no timers, no clock of its own. A process has one. Answers from memory are direct
 * calls; everything else is a `step`.
 */
export class GuardCore {
  readonly #settings: GuardSettings;
  readonly #protections: Protections;
  readonly #memory: Memory;
  readonly #permits: Permits;
  readonly #fetches: FactFetches;
  readonly #lease: Lease;
  readonly #followers: Record<Source, Follower>;
  readonly #acknowledgements: Record<Source, Acknowledgements>;
  readonly #lookups: Lookups;
  #acknowledged: { leaseId: string | undefined; positions: Positions };
  #actions: GuardAction[] = [];

  /** Throws RangeError for settings that cannot work. */
  constructor(settings: GuardSettings, protections: Protections = allProtections) {
    checkGuardSettings(settings);
    this.#settings = settings;
    this.#protections = protections;
    this.#memory = new Memory(settings.factsMax, settings.unknownMax);
    this.#permits = new Permits(protections['wall-clock-too']);
    this.#fetches = new FactFetches(settings.fetchesMax);
    this.#lease = new Lease(settings, protections, () => ({
      applied: this.#reached(),
      acknowledged: this.#acknowledgeable(),
    }));
    this.#lookups = new Lookups({
      ...{ settings, protections, memory: this.#memory, permits: this.#permits },
      fetches: this.#fetches,
      readLeaseAt: (now) => this.#lease.readLease(now),
      emit: this.#emit,
    });
    this.#followers = bySource((source) => {
      return new Follower(source, settings, {
        apply: (from, event) => this.#apply(from, event),
        restart: (from) => this.#restart(from),
        emit: this.#emit,
      });
    });
    this.#acknowledgements = bySource(() => new Acknowledgements());
    this.#acknowledged = { leaseId: undefined, positions: {} };
  }

  /**
   * The project of a token, from memory under a read lease; undefined if it must be looked up.
   * Allocates nothing.
   */
  verifyToken(token: string, now: Reading): TokenAnswer | undefined {
    if (this.#lease.readLease(now) === undefined) return undefined;
    return this.#memory.tokenAnswer(token);
  }

  /** The answer from memory under a read lease; undefined if it must be looked up. */
  recall(check: AccessCheck, now: Reading): TokenAnswer | Answer | undefined {
    if (bypassesCache(check) || this.#lease.readLease(now) === undefined) return undefined;
    const date = new Date(now.wallMs);
    const verdict = decide(check, this.#recall, date);
    if (!('answer' in verdict)) return undefined;
    const { answer } = verdict;
    return doubtful(check, answer, this.#recall, date).length > 0 ? undefined : answer;
  }

  /** The time for which a permit's holder may still decide. */
  permitRemainingMs(permit: Permit, now: Reading): number {
    return this.#permits.remainingMs(permit, now);
  }

  /** Whether lookups are answered from memory now. */
  hasReadLease(now: Reading): boolean {
    return this.#lease.readLease(now) !== undefined;
  }

  /** When the present read lease ends, by the monotonic clock; Infinity if there is none. */
  readLeaseEndsMonotonicMs(): number {
    return this.#lease.readLeaseEndsMs;
  }

  /** The last applied position of each source. */
  positions(): Positions {
    return positionsOf((source) => this.#followers[source].position);
  }

  /** When the next tick is due, by the monotonic clock. */
  wakeMonotonicMs(): number {
    let wakeMs = Math.min(this.#lease.wakeMs, this.#permits.nextEndMs());
    for (const source of sources) wakeMs = Math.min(wakeMs, this.#followers[source].wakeMs);
    return wakeMs;
  }

  /** Numbers for metrics. */
  sizes(): { facts: number; fetches: number; lookups: number; permits: number } {
    return {
      facts: this.#memory.size,
      fetches: this.#fetches.size,
      lookups: this.#lookups.size,
      permits: this.#permits.size,
    };
  }

  /** Takes one input, with both clocks read in the same turn; returns the actions to perform. */
  step(input: GuardInput, now: Reading): GuardAction[] {
    const late = this.#lookups.takeLate();
    this.#take(input, now);
    for (const permit of late) this.#permits.hold(permit);
    this.#permits.expire(now);
    this.#beginReadLease(now);
    this.#acknowledge();
    // A barrier does not wait for a released lease, and so would not wait for its permits: they
    // must end first.
    if (this.#lookups.isDraining && this.#permits.size === 0) this.#lease.drain(this.#emit);
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  #take(input: GuardInput, now: Reading): void {
    switch (input.kind) {
      case 'start':
        for (const source of sources) this.#followers[source].readIfBehind(now);
        this.#lease.acquire(now, this.#emit);
        break;
      case 'tick':
        for (const source of sources) this.#followers[source].tick(now);
        this.#lease.tick(now, this.#emit);
        break;
      case 'batch':
        this.#applyBatch(input, now);
        break;
      case 'missed':
        for (const source of input.source === undefined ? sources : [input.source]) {
          this.#followers[source].missed(now);
        }
        break;
      case 'read':
        this.#followers[input.source].read(input.requestId, input.page, now);
        break;
      case 'acquired':
        this.#lease.acquired(input.requestId, input.reply, now, this.#emit);
        break;
      case 'renewed':
        this.#renewed(input, now);
        break;
      case 'factFetched':
        this.#lookups.fetched(input.fetchId, input.reply, now);
        break;
      case 'lookup':
        this.#lookups.begin(input.lookupId, input.check, input.wantsPermit, now);
        break;
      case 'cancelLookup':
        this.#lookups.cancel(input.lookupId);
        break;
      case 'releasePermit':
        this.#permits.end(input.permit);
        break;
      case 'drain':
        this.#lookups.isDraining = true;
        return;
    }
  }

  readonly #emit = (action: GuardAction): void => {
    this.#actions.push(action);
  };

  readonly #recall: Recall = (kind, id) => this.#memory.get(kind, id);

  // Events

  /**
   * A source never broadcasts events past the head of its log, so such events of a batch are
   * invalid and ignored.
   */
  #applyBatch(
    { source, head, events }: Extract<GuardInput, { kind: 'batch' }>,
    now: Reading,
  ): void {
    const within = this.#protections['batch-within-its-head']
      ? events.filter(({ sequence }) => sequence <= head.sequence)
      : events;
    this.#followers[source].receive(head.incarnation, within, now);
  }

  #apply(source: Source, { sequence, ends, traced }: GuardEvent): void {
    this.#invalidate(source, ends, this.#protections['clear-invalidates-fetches']);
    this.#emit({ kind: 'ended', source, ends, ...(traced && { traced }) });
    this.#acknowledgements[source].applied(sequence, this.#restingOn(source, ends));
  }

  #restart(source: Source): void {
    this.#invalidate(source, 'everything', this.#protections['clear-invalidates-fetches']);
    this.#emit({ kind: 'ended', source, ends: 'everything' });
    this.#acknowledgements[source].restarted(this.#restingOn(source, 'everything'));
  }

  #invalidate(source: Source, ends: Ended, clearEndsFetches: boolean): void {
    const mayShare = !this.#protections['no-sharing-stale-fetches'];
    if (ends !== 'everything') {
      for (const name of ends) this.#memory.end(name);
      this.#fetches.invalidate(source, ends, mayShare);
      return;
    }
    this.#memory.clear(source);
    if (clearEndsFetches) this.#fetches.invalidate(source, ends, mayShare);
  }

  #restingOn(source: Source, ends: Ended): Permit[] {
    if (!this.#protections['acknowledge-after-permits']) return [];
    if (ends === 'everything') {
      return this.#permits.ending(({ kind }) => sourceOfKind[kind] === source);
    }
    return this.#permits.ending(({ kind, name }) =>
      ends.some((ended) => ended.kind === kind && ended.name === name),
    );
  }

  // Lease

  #renewed(input: Extract<GuardInput, { kind: 'renewed' }>, now: Reading): void {
    const required = this.#lease.renewed(input.requestId, input.reply, now, this.#emit) ?? {};
    for (const source of sources) {
      const position = required[source];
      if (position !== undefined) this.#followers[source].mustReach(position, now);
    }
  }

  #beginReadLease(now: Reading): void {
    if (!this.#lease.beginReadLease(this.positions(), now)) return;
    const readLease = this.#lease.readLease(now);
    const endingToo = !this.#protections['extend-only-valid-permits'];
    if (readLease !== undefined) this.#permits.carryInto(readLease, now, endingToo);
  }

  /** The applied positions that are reported to the registry. */
  #reached(): Positions {
    return positionsOf((source) => {
      const { position, announced } = this.#followers[source];
      return this.#protections['acknowledge-after-applying'] ? position : announced;
    });
  }

  #acknowledgeable(): Positions {
    const reached = this.#reached();
    return positionsOf((source) => this.#acknowledgements[source].acknowledgeable(reached[source]));
  }

  /** Sends an acknowledgement to the registry if more can be acknowledged than before. */
  #acknowledge(): void {
    const leaseId = this.#lease.id;
    if (leaseId === undefined) return;
    const positions = this.#acknowledgeable();
    const last = this.#acknowledged;
    const isNew = last.leaseId !== leaseId;
    if (!isNew && sources.every((source) => isSame(positions[source], last.positions[source]))) {
      return;
    }
    this.#acknowledged = { leaseId, positions };
    const { guardName } = this.#settings;
    // For a new lease, the first renewal acknowledges.
    const applied = this.#reached();
    if (!isNew) this.#emit({ kind: 'acknowledge', leaseId, guardName, positions, applied });
  }
}

function bySource<Value>(make: (source: Source) => Value): Record<Source, Value> {
  return { org: make('org'), project: make('project'), token: make('token') };
}

function positionsOf(positionOf: (source: Source) => Position | undefined): Positions {
  const positions: Positions = {};
  for (const source of sources) {
    const position = positionOf(source);
    if (position !== undefined) positions[source] = position;
  }
  return positions;
}

function isSame(a: Position | undefined, b: Position | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return comparePositions(a, b) === 0;
}
