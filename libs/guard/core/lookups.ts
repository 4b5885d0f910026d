import type { Answer, TokenAnswer } from '@silo/access/access.ts';
import type { FactFetch, FactFetches } from './fact-fetches.ts';
import { type FactName, type FactRef, nameOf } from './facts.ts';
import { type Fence, fenceFrom, type Reading } from './fence.ts';
import {
  type AccessCheck,
  bypassesCache,
  decide,
  doubtful,
  foundKey,
  type Lookup,
  mayBeNonMember,
  type Recall,
} from './lookup.ts';
import type { Memory } from './memory.ts';
import type { FetchReply, GuardAction } from './messages.ts';
import type { Permit, Permits } from './permits.ts';
import type { Protections } from './protections.ts';
import type { GuardSettings } from './settings.ts';

/** A lookup fails after this number of rounds, if its facts keep ending. */
const roundsMax = 8;

type Parts = {
  settings: GuardSettings;
  protections: Protections;
  memory: Memory;
  permits: Permits;
  fetches: FactFetches;
  /** The guard's read lease, if it has one now. */
  readLeaseAt(now: Reading): Fence | undefined;
  emit(action: GuardAction): void;
};

/** The lookups that could not be answered from memory, until their fact fetches have ended. */
export class Lookups {
  readonly #settings: GuardSettings;
  readonly #protections: Protections;
  readonly #memory: Memory;
  readonly #permits: Permits;
  readonly #fetches: FactFetches;
  readonly #readLeaseAt: Parts['readLeaseAt'];
  readonly #emit: Parts['emit'];
  readonly #underWay = new Map<number, Lookup>();
  /** Permits that a control run takes one turn too late. */
  #late: Permit[] = [];
  /** Once true, mutations are refused. */
  isDraining = false;

  constructor({ settings, protections, memory, permits, fetches, readLeaseAt, emit }: Parts) {
    this.#settings = settings;
    this.#protections = protections;
    this.#memory = memory;
    this.#permits = permits;
    this.#fetches = fetches;
    this.#readLeaseAt = readLeaseAt;
    this.#emit = emit;
  }

  get size(): number {
    return this.#underWay.size;
  }

  /** The permits that a control run has not taken yet. */
  takeLate(): Permit[] {
    const late = this.#late;
    this.#late = [];
    return late;
  }

  begin(id: number, check: AccessCheck, wantsPermit: boolean, now: Reading): void {
    const lookup: Lookup = {
      id,
      check,
      wantsPermit,
      found: new Map(),
      sent: new Set(),
      doubts: bypassesCache(check),
      isFresh: false,
      waitingFor: 0,
      rounds: 0,
      over: false,
    };
    this.#underWay.set(id, lookup);
    this.#advance(lookup, now);
  }

  cancel(id: number): void {
    const lookup = this.#underWay.get(id);
    if (lookup !== undefined) this.#end(lookup);
  }

  #end(lookup: Lookup): void {
    lookup.over = true;
    this.#underWay.delete(lookup.id);
  }

  #fail(lookup: Lookup, why: 'no-read-lease' | 'fetch-failed' | 'too-many-fetches'): void {
    this.#end(lookup);
    this.#emit({ kind: 'unavailable', lookupId: lookup.id, why });
  }

  /** Answers a lookup, or sends the fact fetches that it needs. */
  #advance(lookup: Lookup, now: Reading): void {
    const isMutation = lookup.wantsPermit;
    if (isMutation && this.isDraining) {
      this.#fail(lookup, 'no-read-lease');
      return;
    }
    const readLease = this.#readLeaseAt(now);
    if (isMutation && readLease === undefined && this.#protections['mutation-needs-read-lease']) {
      this.#fail(lookup, 'no-read-lease');
      return;
    }
    lookup.isFresh = this.#mustBeFresh(lookup, readLease !== undefined);
    const recall = this.#recallFor(lookup, readLease !== undefined);
    const date = new Date(now.wallMs);
    const verdict = decide(lookup.check, recall, date);
    if ('answer' in verdict) {
      const { answer, restsOn } = verdict;
      if (this.#mustDoubt(lookup, doubtful(lookup.check, answer, recall, date))) {
        lookup.doubts = true;
        this.#advance(lookup, now);
        return;
      }
      const isPermitted = isMutation && answer.allowed;
      const permit = isPermitted
        ? this.#permit(restsOn, { readLease, now, keyEndsMs: keyEndOf(answer) })
        : undefined;
      this.#end(lookup);
      this.#emit({ kind: 'answer', lookupId: lookup.id, answer, permit });
      return;
    }
    if (++lookup.rounds > roundsMax) {
      this.#fail(lookup, 'fetch-failed');
      return;
    }
    for (const ref of verdict.missing) {
      const fetch = this.#fetchFor(lookup, ref, readLease !== undefined || isMutation);
      if (fetch === undefined) {
        this.#fail(lookup, 'too-many-fetches');
        return;
      }
      fetch.waiting.push(lookup);
      lookup.waitingFor++;
    }
  }

  /** Whether to bypass cached facts; never under high load. */
  #mustBeFresh(lookup: Lookup, hasReadLease: boolean): boolean {
    if (lookup.doubts || this.#isBusy) return false;
    return mayBeNonMember(
      lookup.check,
      this.#recallFor({ ...lookup, isFresh: false }, hasReadLease),
    );
  }

  get #isBusy(): boolean {
    return this.#fetches.size * 2 > this.#settings.fetchesMax;
  }

  /**
   * Whether to re-check a cached denial with the owners: access may have been granted since, and
   * the caller may call right after the grant. If there are many denials, the cached decision is
   * final.
   */
  #mustDoubt(lookup: Lookup, refs: FactRef[]): boolean {
    if (lookup.doubts || this.#isBusy) return false;
    return refs.some(({ kind, id }) => !lookup.sent.has(foundKey(kind, id)));
  }

  #fetchFor(lookup: Lookup, ref: FactRef, mayShare: boolean): FactFetch | undefined {
    const joined = mayShare && !lookup.doubts ? this.#fetches.joinable(ref) : undefined;
    if (joined !== undefined) return joined;
    const fetch = this.#fetches.send(ref, !mayShare);
    if (fetch !== undefined) {
      lookup.sent.add(foundKey(ref.kind, ref.id));
      this.#emit({ kind: 'fetchFact', fetchId: fetch.id, ref, isPrivate: fetch.isPrivate });
    }
    return fetch;
  }

  /** Handles the end of a fact fetch; an undefined reply means that it failed. */
  fetched(fetchId: number, reply: FetchReply | undefined, now: Reading): void {
    const fetch = this.#fetches.end(fetchId);
    if (fetch === undefined) return;
    const { ref, waiting } = fetch;
    if (reply === undefined) {
      for (const lookup of waiting) if (!lookup.over) this.#fail(lookup, 'fetch-failed');
      return;
    }
    const value = reply.value as never;
    const name = nameOf(ref, value);
    const mayBeStale = !this.#protections['no-caching-stale-fetches'];
    const isCacheable = mayBeStale || this.#fetches.isFresh(fetch, name);
    if (!fetch.isPrivate && isCacheable) this.#memory.set(ref.kind, ref, value);
    const known = { value, name };
    for (const lookup of waiting) {
      if (lookup.over) continue;
      lookup.found.set(foundKey(ref.kind, ref.id), known);
      if (--lookup.waitingFor === 0) this.#advance(lookup, now);
    }
  }

  /**
   * The facts that a lookup may use. A mutation uses remembered facts. A verification uses the
   * facts that were found for it and, under a read lease, remembered ones.
   */
  #recallFor({ wantsPermit, doubts, isFresh, sent, found }: Lookup, hasReadLease: boolean): Recall {
    return (kind, id) => {
      const key = foundKey(kind, id);
      if (doubts && !sent.has(key)) return undefined;
      if (isFresh && !found.has(key)) return undefined;
      const known = wantsPermit ? undefined : found.get(key);
      if (known !== undefined) return known as ReturnType<Recall> as never;
      return hasReadLease || wantsPermit ? this.#memory.get(kind, id) : undefined;
    };
  }

  #permit(
    restsOn: FactName[],
    {
      readLease,
      now,
      keyEndsMs,
    }: { readLease?: Fence | undefined; now: Reading; keyEndsMs: number },
  ): Permit {
    const own = fenceFrom(now, this.#settings.permitMs);
    // No event announces that a key expires.
    const key = Number.isFinite(keyEndsMs) ? fenceFrom(now, keyEndsMs - now.wallMs) : undefined;
    const permit = this.#permits.make(restsOn, { readLease: readLease ?? own, own, key });
    if (this.#protections['permit-with-lookup']) this.#permits.hold(permit);
    else this.#late.push(permit);
    return permit;
  }
}

/** When the key of an answer expires, by the wall clock; Infinity if it does not. */
function keyEndOf(answer: TokenAnswer | Answer): number {
  const key = answer.allowed && 'facts' in answer ? answer.facts.key : undefined;
  return key?.expireTime?.getTime() ?? Number.POSITIVE_INFINITY;
}
