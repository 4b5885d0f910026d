import type { Answer, TokenAnswer } from '../access.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { type Ended, type FactName, type FactRef, nameOf, sourceOfKind } from './facts.ts';
import { type Fence, fenceFrom, type Reading } from './fence.ts';
import { type Fill, Fills } from './fills.ts';
import { Follower } from './follower.ts';
import { Lease } from './lease.ts';
import { type Asked, decide, foundKey, type LookUp, type Recall } from './look-up.ts';
import { Memory } from './memory.ts';
import type { FillReply, GuardAction, GuardEvent, GuardInput } from './messages.ts';
import { type Permit, Permits } from './permits.ts';
import {
  comparePositions,
  haveReached,
  type Position,
  type Positions,
  type Source,
  sources,
} from './position.ts';
import { allProtections, type Protections } from './protections.ts';
import { checkGuardSettings, type GuardSettings } from './settings.ts';

/** A look-up whose facts end again and again is given up after so many rounds of fills. */
const roundsMax = 8;

/**
 * The guard as a pure state machine (design §5): inputs and clock readings in, actions out; no
 * I/O, no timers, no clock of its own. One process has one. Its answers from memory are direct
 * calls; all else goes through `step`.
 */
export class GuardCore {
  readonly #settings: GuardSettings;
  readonly #protections: Protections;
  readonly #memory: Memory;
  readonly #permits: Permits;
  readonly #fills: Fills;
  readonly #lease: Lease;
  readonly #followers: Record<Source, Follower>;
  readonly #acknowledgements: Record<Source, Acknowledgements>;
  readonly #lookUps = new Map<number, LookUp>();
  #required: Positions | undefined;
  #acknowledged: { leaseId: string | undefined; positions: Positions };
  #actions: GuardAction[] = [];
  /** Permits that a control run takes a turn too late. */
  #late: Permit[] = [];
  #isDraining = false;

  /** Throws RangeError for settings that could not work. */
  constructor(settings: GuardSettings, protections: Protections = allProtections) {
    checkGuardSettings(settings);
    this.#settings = settings;
    this.#protections = protections;
    this.#memory = new Memory(settings.factsMax, settings.unknownMax);
    this.#permits = new Permits(protections['wall-clock-too']);
    this.#fills = new Fills(settings.fillsMax);
    this.#lease = new Lease(settings, protections, () => ({
      applied: this.positions(),
      acknowledged: this.#acknowledgeable(),
    }));
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

  /** Whose token it is, from memory under a view; undefined: look it up. Makes no object. */
  verifyToken(token: string, now: Reading): TokenAnswer | undefined {
    if (this.#lease.view(now) === undefined) return undefined;
    return this.#memory.tokenAnswer(token);
  }

  /** The answer from memory under a view; undefined: look it up. */
  recall(asked: Asked, now: Reading): TokenAnswer | Answer | undefined {
    if (this.#lease.view(now) === undefined) return undefined;
    const verdict = decide(asked, this.#recall, new Date(now.wallMs));
    return 'answer' in verdict ? verdict.answer : undefined;
  }

  /** Whether a permit's holder may still decide: to be asked right before the decision. */
  isHeld(permit: Permit, now: Reading): boolean {
    return this.#permits.isHeld(permit, now);
  }

  /** Whether look-ups are answered from memory now. */
  hasView(now: Reading): boolean {
    return this.#lease.view(now) !== undefined;
  }

  /** How far each source's events are applied. */
  positions(): Positions {
    return positionsOf((source) => this.#followers[source].position);
  }

  /** When the next tick is due, by the monotonic clock. */
  wakeMonotonicMs(): number {
    let wakeMs = Math.min(this.#lease.wakeMs, this.#permits.nextEndMs());
    for (const source of sources) wakeMs = Math.min(wakeMs, this.#followers[source].wakeMs);
    return wakeMs;
  }

  /** Figures for metrics. */
  sizes(): { facts: number; fills: number; lookUps: number; permits: number } {
    return {
      facts: this.#memory.size,
      fills: this.#fills.size,
      lookUps: this.#lookUps.size,
      permits: this.#permits.size,
    };
  }

  /** Takes one input, with both clocks read in the same turn. Answers what is to be done. */
  step(input: GuardInput, now: Reading): GuardAction[] {
    const late = this.#late;
    this.#late = [];
    this.#take(input, now);
    for (const permit of late) this.#permits.hold(permit);
    this.#permits.expire(now);
    this.#renewIfCaughtUp(now);
    this.#acknowledge();
    // A barrier waits for no lease that is gone, hence not for its permits either.
    if (this.#isDraining && this.#permits.size === 0) this.#lease.drain(this.#emit);
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
      case 'heard':
        this.#followers[input.source].heard(input.incarnation, input, now);
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
      case 'filled':
        this.#filled(input.fillId, input.reply, now);
        break;
      case 'lookUp':
        this.#lookUp(input.lookUpId, input.asked, input.wantsPermit, now);
        break;
      case 'giveUp':
        this.#giveUp(input.lookUpId);
        break;
      case 'releasePermit':
        this.#permits.end(input.permit);
        break;
      case 'drain':
        this.#isDraining = true;
        return;
    }
  }

  readonly #emit = (action: GuardAction): void => {
    this.#actions.push(action);
  };

  // Look-ups

  #lookUp(id: number, asked: Asked, wantsPermit: boolean, now: Reading): void {
    const lookUp: LookUp = {
      id,
      asked,
      wantsPermit,
      found: new Map(),
      waitingFor: 0,
      rounds: 0,
      over: false,
    };
    this.#lookUps.set(id, lookUp);
    this.#advance(lookUp, now);
  }

  #giveUp(id: number): void {
    const lookUp = this.#lookUps.get(id);
    if (lookUp !== undefined) this.#end(lookUp);
  }

  #end(lookUp: LookUp): void {
    lookUp.over = true;
    this.#lookUps.delete(lookUp.id);
  }

  #fail(lookUp: LookUp, why: 'no-view' | 'fill-failed' | 'too-many-fills'): void {
    this.#end(lookUp);
    this.#emit({ kind: 'unavailable', lookUpId: lookUp.id, why });
  }

  /** Answers a look-up, or sends the fills that it needs. */
  #advance(lookUp: LookUp, now: Reading): void {
    const isMutation = lookUp.wantsPermit;
    if (isMutation && this.#isDraining) {
      this.#fail(lookUp, 'no-view');
      return;
    }
    const view = this.#lease.view(now);
    if (isMutation && view === undefined && this.#protections['mutation-needs-view']) {
      this.#fail(lookUp, 'no-view');
      return;
    }
    const recall = isMutation ? this.#recall : this.#recallFor(lookUp, view !== undefined);
    const verdict = decide(lookUp.asked, recall, new Date(now.wallMs));
    if ('answer' in verdict) {
      const { answer, restsOn } = verdict;
      const isPermitted = isMutation && answer.allowed;
      const permit = isPermitted ? this.#permit(restsOn, view, now) : undefined;
      this.#end(lookUp);
      this.#emit({ kind: 'answer', lookUpId: lookUp.id, answer, permit });
      return;
    }
    if (++lookUp.rounds > roundsMax) {
      this.#fail(lookUp, 'fill-failed');
      return;
    }
    for (const ref of verdict.missing) {
      const fill = this.#fillFor(ref, view !== undefined || isMutation);
      if (fill === undefined) {
        this.#fail(lookUp, 'too-many-fills');
        return;
      }
      fill.waiting.push(lookUp);
      lookUp.waitingFor++;
    }
  }

  #fillFor(ref: FactRef, mayShare: boolean): Fill | undefined {
    const joined = mayShare ? this.#fills.joinable(ref) : undefined;
    if (joined !== undefined) return joined;
    const fill = this.#fills.send(ref, !mayShare);
    if (fill !== undefined) {
      this.#emit({ kind: 'fill', fillId: fill.id, ref, isPrivate: fill.isPrivate });
    }
    return fill;
  }

  #filled(fillId: number, reply: FillReply | undefined, now: Reading): void {
    const fill = this.#fills.end(fillId);
    if (fill === undefined) return;
    const { ref, waiting } = fill;
    if (reply === undefined) {
      for (const lookUp of waiting) if (!lookUp.over) this.#fail(lookUp, 'fill-failed');
      return;
    }
    const value = reply.value as never;
    const isCacheable = fill.isFresh || !this.#protections['no-caching-old-fills'];
    if (!fill.isPrivate && isCacheable) this.#memory.set(ref.kind, ref, value);
    const known = { value, name: nameOf(ref, value) };
    for (const lookUp of waiting) {
      if (lookUp.over) continue;
      lookUp.found.set(foundKey(ref.kind, ref.id), known);
      if (--lookUp.waitingFor === 0) this.#advance(lookUp, now);
    }
  }

  readonly #recall: Recall = (kind, id) => this.#memory.get(kind, id);

  /** What was found for the look-up itself, else, under a view, what is remembered. */
  #recallFor({ found }: LookUp, hasView: boolean): Recall {
    return (kind, id) => {
      const known = found.get(foundKey(kind, id));
      if (known !== undefined) return known as ReturnType<Recall> as never;
      return hasView ? this.#memory.get(kind, id) : undefined;
    };
  }

  #permit(restsOn: FactName[], view: Fence | undefined, now: Reading): Permit {
    const own = fenceFrom(now, this.#settings.permitMs);
    const permit = this.#permits.make(restsOn, view ?? own, own);
    if (this.#protections['permit-with-look-up']) this.#permits.hold(permit);
    else this.#late.push(permit);
    return permit;
  }

  // Events

  #apply(source: Source, { sequence, ends }: GuardEvent): void {
    this.#invalidate(source, ends, this.#protections['clear-ends-fills']);
    this.#acknowledgements[source].applied(sequence, this.#restingOn(source, ends));
  }

  #restart(source: Source): void {
    this.#invalidate(source, 'everything', this.#protections['clear-ends-fills']);
    this.#acknowledgements[source].restarted(this.#restingOn(source, 'everything'));
  }

  #invalidate(source: Source, ends: Ended, clearEndsFills: boolean): void {
    const mayShare = !this.#protections['no-sharing-old-fills'];
    if (ends !== 'everything') {
      for (const name of ends) this.#memory.end(name);
      this.#fills.invalidate(source, ends, mayShare);
      return;
    }
    this.#memory.clear(source);
    if (clearEndsFills) this.#fills.invalidate(source, ends, mayShare);
  }

  #restingOn(source: Source, ends: Ended): Permit[] {
    if (!this.#protections['acknowledge-after-permits']) return [];
    if (ends === 'everything') {
      return this.#permits.restingOn(({ kind }) => sourceOfKind[kind] === source);
    }
    return this.#permits.restingOn(({ kind, name }) =>
      ends.some((ended) => ended.kind === kind && ended.name === name),
    );
  }

  // Lease

  #renewed(input: Extract<GuardInput, { kind: 'renewed' }>, now: Reading): void {
    const isBehind = this.#lease.renewed(input.requestId, input.reply, now, this.#emit);
    if (input.reply?.result === 'granted') this.#required = undefined;
    if (!isBehind || input.reply?.result !== 'behind') return;
    this.#required = input.reply.required;
    for (const source of sources) {
      const position = input.reply.required[source];
      if (position !== undefined) this.#followers[source].mustReach(position, now);
    }
  }

  #renewIfCaughtUp(now: Reading): void {
    if (this.#required === undefined || !haveReached(this.positions(), this.#required)) return;
    this.#required = undefined;
    this.#lease.renew(now, this.#emit);
  }

  #acknowledgeable(): Positions {
    return positionsOf((source) => {
      const { position, told } = this.#followers[source];
      const reached = this.#protections['acknowledge-after-applying'] ? position : told;
      return this.#acknowledgements[source].acknowledgeable(reached);
    });
  }

  /** Tells the registry at once what may be acknowledged by now, if it is more than before. */
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
    // A new lease tells by its first renewal.
    if (!isNew) this.#emit({ kind: 'acknowledge', leaseId, guardName, positions });
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
