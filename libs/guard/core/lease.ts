import { type Fence, fenceFrom, isOver, type Reading } from './fence.ts';
import type { AcquireAnswer, GuardAction, RenewAnswer } from './messages.ts';
import { haveReached, type Positions } from './position.ts';
import type { Protections } from './protections.ts';
import {
  checkLeaseNumbers,
  type GuardSettings,
  type LeaseNumbers,
  readLeaseMsOf,
  requestTimeoutMs,
} from './settings.ts';

/** Performs an action that the lease requires. */
type Emit = (action: GuardAction) => void;
type Places = () => { applied: Positions; acknowledged: Positions };

const renewalsMax = 8;

/** A lease whose id the guard has chosen. */
type Held = { id: string; isAcquired: boolean; acquiring: { requestId: number; sent: Fence } };

/** A renewal that was answered. Its read lease begins when the required positions are applied. */
type Pending = { sent: Fence; required: Positions; numbers: LeaseNumbers };

/**
 * A renewal in flight. `wasAcquired`: the registry had confirmed the lease before the renewal was
 * sent.
 */
type Renewal = { sent: Fence; wasAcquired: boolean };

/** The guard's lease at the registry, and the read lease from the last granted renewal. */
export class Lease {
  readonly #settings: GuardSettings;
  readonly #protections: Protections;
  readonly #places: Places;
  #held: Held | undefined;
  #readLease: Fence | undefined;
  /** Whether a timer would report a read lease; used only by a control run. */
  #flag = false;
  #lastRequestId = 0;
  readonly #renewing = new Map<number, Renewal>();
  #latest: number | undefined;
  /** Renewals without an answer since the last one that was answered. */
  #unanswered = 0;
  /** The latest renewal that is known to have found the lease. */
  #found = 0;
  #pending: Pending[] = [];
  #nextMs = Number.POSITIVE_INFINITY;
  #isDrained = false;

  constructor(settings: GuardSettings, protections: Protections, places: Places) {
    this.#settings = settings;
    this.#protections = protections;
    this.#places = places;
  }

  get id(): string | undefined {
    return this.#held?.id;
  }

  /** When the next action is due, by the monotonic clock. */
  get wakeMs(): number {
    return this.#nextMs;
  }

  get readLeaseEndsMs(): number {
    if (this.#readLease === undefined) return Number.POSITIVE_INFINITY;
    return this.#readLease.fromMonotonicMs + this.#readLease.lengthMs;
  }

  /** The read lease, if there is one now. Reads both clocks at each call. */
  readLease(now: Reading): Fence | undefined {
    if (this.#readLease === undefined) return undefined;
    if (!this.#protections['clocks-at-each-use']) return this.#flag ? this.#readLease : undefined;
    return isOver(this.#readLease, now, this.#protections['wall-clock-too'])
      ? undefined
      : this.#readLease;
  }

  tick(now: Reading, emit: Emit): void {
    const readLease = this.#readLease;
    if (readLease !== undefined && isOver(readLease, now, this.#protections['wall-clock-too'])) {
      this.#flag = false;
    }
    if (now.monotonicMs < this.#nextMs) return;
    if (this.#held?.isAcquired) this.renew(now, emit);
    else this.acquire(now, emit);
  }

  /**
   * Acquires a lease, and in the same turn requests its first read lease: the registry may receive
   * either first.
   */
  acquire(now: Reading, emit: Emit): void {
    if (this.#isDrained) return;
    const leaseId = this.#held?.id ?? this.#settings.newLeaseId();
    const requestId = ++this.#lastRequestId;
    const acquiring = { requestId, sent: fenceFrom(now, 0) };
    this.#held = { id: leaseId, isAcquired: false, acquiring };
    emit({ kind: 'acquire', requestId, leaseId, guardName: this.#settings.guardName });
    this.renew(now, emit);
  }

  acquired(requestId: number, reply: AcquireAnswer | undefined, now: Reading, emit: Emit): void {
    const held = this.#held;
    if (held === undefined || held.isAcquired || requestId !== held.acquiring.requestId) return;
    if (reply === 'taken') this.#forget();
    if (reply === undefined || reply === 'taken') {
      this.#nextMs = now.monotonicMs + this.#settings.retryMs;
      return;
    }
    held.isAcquired = true;
    if (!this.#protections['acquire-grants-nothing']) {
      this.#grant(held.acquiring.sent, reply.numbers, now);
    }
    const isWaiting = this.#latest !== undefined && this.#renewing.has(this.#latest);
    if (!isWaiting) this.renew(now, emit);
  }

  renew(now: Reading, emit: Emit): void {
    const held = this.#held;
    if (held === undefined) return;
    const requestId = ++this.#lastRequestId;
    this.#renewing.set(requestId, { sent: fenceFrom(now, 0), wasAcquired: held.isAcquired });
    if (this.#renewing.size > renewalsMax) this.#forgetOldest();
    this.#latest = requestId;
    this.#nextMs = now.monotonicMs + requestTimeoutMs(this.#settings, this.#unanswered++);
    emit({ kind: 'renew', requestId, leaseId: held.id, ...this.#places() });
  }

  /** Returns the positions that must be applied before the read lease of this renewal begins. */
  renewed(
    requestId: number,
    reply: RenewAnswer | undefined,
    now: Reading,
    emit: Emit,
  ): Positions | undefined {
    const renewal = this.#renewing.get(requestId);
    const held = this.#held;
    if (renewal === undefined || held === undefined) return undefined;
    this.#renewing.delete(requestId);
    const isLatest = requestId === this.#latest;
    if (reply === undefined || (reply.result === 'lost' && !renewal.wasAcquired)) {
      if (isLatest) this.#nextMs = now.monotonicMs + this.#settings.retryMs;
      return undefined;
    }
    this.#unanswered = 0;
    if (reply.result === 'lost') {
      // A late acquisition may have created the lease after that answer. If not, the next renewal
      // shows it.
      if (requestId < this.#found) return undefined;
      // Facts and positions are kept, and used with the new lease.
      this.#forget();
      this.acquire(now, emit);
      return undefined;
    }
    held.isAcquired = true;
    this.#found = Math.max(this.#found, requestId);
    const { numbers } = reply;
    if (isLatest) this.#nextMs = renewal.sent.fromMonotonicMs + numbers.renewMs;
    const required = reply.result === 'behind' ? reply.required : {};
    if (this.#pending.length >= renewalsMax) this.#pending.shift();
    this.#pending.push({ sent: renewal.sent, required, numbers });
    return required;
  }

  /**
   * Begins the latest read lease whose required positions are applied: later requirements wait for
   * this lease. It still counts from before its renewal was sent. Returns whether one has begun.
   */
  beginReadLease(applied: Positions, now: Reading): boolean {
    const isWaiting = this.#protections['read-lease-after-catching-up'];
    const reached = ({ required }: Pending) => !isWaiting || haveReached(applied, required);
    const latest = this.#pending.filter(reached).toSorted(bySending).at(-1);
    if (latest === undefined) return false;
    this.#pending = this.#pending.filter((pending) => bySending(pending, latest) > 0);
    this.#grant(latest.sent, latest.numbers, now);
    return true;
  }

  drain(emit: Emit): void {
    this.#isDrained = true;
    const leaseId = this.#held?.id;
    this.#forget();
    this.#nextMs = Number.POSITIVE_INFINITY;
    if (leaseId !== undefined) emit({ kind: 'release', leaseId });
  }

  #forget(): void {
    this.#held = undefined;
    this.#readLease = undefined;
    this.#pending = [];
    this.#renewing.clear();
  }

  /** Throws RangeError for unsafe settings. */
  #grant(sent: Fence, numbers: LeaseNumbers, now: Reading): void {
    checkLeaseNumbers(numbers);
    const from = this.#protections['read-lease-from-send'] ? sent : fenceFrom(now, 0);
    const isLater =
      this.#readLease === undefined || from.fromMonotonicMs >= this.#readLease.fromMonotonicMs;
    if (isLater) this.#readLease = { ...from, lengthMs: readLeaseMsOf(numbers) };
    this.#flag = true;
  }

  #forgetOldest(): void {
    for (const requestId of this.#renewing.keys()) {
      this.#renewing.delete(requestId);
      return;
    }
  }
}

function bySending(a: Pending, b: Pending): number {
  return a.sent.fromMonotonicMs - b.sent.fromMonotonicMs;
}
