import { type FactName, type FactRef, nameOf } from './facts.ts';
import { type Fence, fenceFrom, type Reading } from './fence.ts';
import type { Fill, Fills } from './fills.ts';
import {
  type Asked,
  asksOwners,
  decide,
  doubtful,
  foundKey,
  type LookUp,
  mayBeStranger,
  type Recall,
} from './look-up.ts';
import type { Memory } from './memory.ts';
import type { FillReply, GuardAction } from './messages.ts';
import type { Permit, Permits } from './permits.ts';
import type { Protections } from './protections.ts';
import type { GuardSettings } from './settings.ts';

/** A look-up whose facts end again and again is given up after so many rounds of fills. */
const roundsMax = 8;

type Parts = {
  settings: GuardSettings;
  protections: Protections;
  memory: Memory;
  permits: Permits;
  fills: Fills;
  /** The guard's view, if it has one now. */
  viewAt(now: Reading): Fence | undefined;
  emit(action: GuardAction): void;
};

/** The questions that memory alone could not answer, until their fills are there. */
export class LookUps {
  readonly #settings: GuardSettings;
  readonly #protections: Protections;
  readonly #memory: Memory;
  readonly #permits: Permits;
  readonly #fills: Fills;
  readonly #viewAt: Parts['viewAt'];
  readonly #emit: Parts['emit'];
  readonly #underWay = new Map<number, LookUp>();
  /** Permits that a control run takes a turn too late. */
  #late: Permit[] = [];
  /** Mutations are refused from then on. */
  isDraining = false;

  constructor({ settings, protections, memory, permits, fills, viewAt, emit }: Parts) {
    this.#settings = settings;
    this.#protections = protections;
    this.#memory = memory;
    this.#permits = permits;
    this.#fills = fills;
    this.#viewAt = viewAt;
    this.#emit = emit;
  }

  get size(): number {
    return this.#underWay.size;
  }

  /** The permits that a control run has still to take. */
  takeLate(): Permit[] {
    const late = this.#late;
    this.#late = [];
    return late;
  }

  begin(id: number, asked: Asked, wantsPermit: boolean, now: Reading): void {
    const lookUp: LookUp = {
      id,
      asked,
      wantsPermit,
      found: new Map(),
      sent: new Set(),
      doubts: asksOwners(asked),
      isFresh: false,
      waitingFor: 0,
      rounds: 0,
      over: false,
    };
    this.#underWay.set(id, lookUp);
    this.#advance(lookUp, now);
  }

  giveUp(id: number): void {
    const lookUp = this.#underWay.get(id);
    if (lookUp !== undefined) this.#end(lookUp);
  }

  #end(lookUp: LookUp): void {
    lookUp.over = true;
    this.#underWay.delete(lookUp.id);
  }

  #fail(lookUp: LookUp, why: 'no-view' | 'fill-failed' | 'too-many-fills'): void {
    this.#end(lookUp);
    this.#emit({ kind: 'unavailable', lookUpId: lookUp.id, why });
  }

  /** Answers a look-up, or sends the fills that it needs. */
  #advance(lookUp: LookUp, now: Reading): void {
    const isMutation = lookUp.wantsPermit;
    if (isMutation && this.isDraining) {
      this.#fail(lookUp, 'no-view');
      return;
    }
    const view = this.#viewAt(now);
    if (isMutation && view === undefined && this.#protections['mutation-needs-view']) {
      this.#fail(lookUp, 'no-view');
      return;
    }
    lookUp.isFresh = this.#mustBeFresh(lookUp, view !== undefined);
    const recall = this.#recallFor(lookUp, view !== undefined);
    const date = new Date(now.wallMs);
    const verdict = decide(lookUp.asked, recall, date);
    if ('answer' in verdict) {
      const { answer, restsOn } = verdict;
      if (this.#mustDoubt(lookUp, doubtful(lookUp.asked, answer, recall, date))) {
        lookUp.doubts = true;
        this.#advance(lookUp, now);
        return;
      }
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
      const fill = this.#fillFor(lookUp, ref, view !== undefined || isMutation);
      if (fill === undefined) {
        this.#fail(lookUp, 'too-many-fills');
        return;
      }
      fill.waiting.push(lookUp);
      lookUp.waitingFor++;
    }
  }

  /** Whether to bypass cached facts; never under high load. */
  #mustBeFresh(lookUp: LookUp, hasView: boolean): boolean {
    if (lookUp.doubts || this.#isBusy) return false;
    return mayBeStranger(lookUp.asked, this.#recallFor({ ...lookUp, isFresh: false }, hasView));
  }

  get #isBusy(): boolean {
    return this.#fills.size * 2 > this.#settings.fillsMax;
  }

  /**
   * Whether to re-check a cached denial with the owners: access may have been granted since, and a
   * caller that knows it calls at once. Under many denials, the cached decision is final.
   */
  #mustDoubt(lookUp: LookUp, refs: FactRef[]): boolean {
    if (lookUp.doubts || this.#isBusy) return false;
    return refs.some(({ kind, id }) => !lookUp.sent.has(foundKey(kind, id)));
  }

  #fillFor(lookUp: LookUp, ref: FactRef, mayShare: boolean): Fill | undefined {
    const joined = mayShare && !lookUp.doubts ? this.#fills.joinable(ref) : undefined;
    if (joined !== undefined) return joined;
    const fill = this.#fills.send(ref, !mayShare);
    if (fill !== undefined) {
      lookUp.sent.add(foundKey(ref.kind, ref.id));
      this.#emit({ kind: 'fill', fillId: fill.id, ref, isPrivate: fill.isPrivate });
    }
    return fill;
  }

  /** A fill has ended; undefined: it failed. */
  filled(fillId: number, reply: FillReply | undefined, now: Reading): void {
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

  /**
   * A mutation is decided by what is remembered; a verification by what was found for it, else,
   * under a view, by what is remembered.
   */
  #recallFor({ wantsPermit, doubts, isFresh, sent, found }: LookUp, hasView: boolean): Recall {
    return (kind, id) => {
      const key = foundKey(kind, id);
      if (doubts && !sent.has(key)) return undefined;
      if (isFresh && !found.has(key)) return undefined;
      const known = wantsPermit ? undefined : found.get(key);
      if (known !== undefined) return known as ReturnType<Recall> as never;
      return hasView || wantsPermit ? this.#memory.get(kind, id) : undefined;
    };
  }

  #permit(restsOn: FactName[], view: Fence | undefined, now: Reading): Permit {
    const own = fenceFrom(now, this.#settings.permitMs);
    const permit = this.#permits.make(restsOn, view ?? own, own);
    if (this.#protections['permit-with-look-up']) this.#permits.hold(permit);
    else this.#late.push(permit);
    return permit;
  }
}
