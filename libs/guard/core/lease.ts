import { type Fence, fenceFrom, isOver, type Reading } from './fence.ts';
import type { GuardAction, RenewAnswer } from './messages.ts';
import type { Positions } from './position.ts';
import type { Protections } from './protections.ts';
import { checkLeaseNumbers, type GuardSettings, type LeaseNumbers, viewMsOf } from './settings.ts';

/** What a lease asks of its guard. */
type Emit = (action: GuardAction) => void;
type Places = () => { applied: Positions; acknowledged: Positions };

const renewalsMax = 8;

/** A lease that the guard has chosen the id of. */
type Held = { id: string; isAcquired: boolean; acquiring: { requestId: number; sent: Fence } };

/** A renewal under way. `wasAcquired`: the registry had confirmed the lease before it was sent. */
type Renewal = { sent: Fence; wasAcquired: boolean };

/** The guard's lease at the registry, and the view that the last granted renewal gave. */
export class Lease {
  readonly #settings: GuardSettings;
  readonly #protections: Protections;
  readonly #places: Places;
  #held: Held | undefined;
  #view: Fence | undefined;
  /** What a timer would have said of the view; used only where a control run wants it. */
  #flag = false;
  #lastRequestId = 0;
  readonly #renewing = new Map<number, Renewal>();
  #latest: number | undefined;
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

  /** Due at, by the monotonic clock. */
  get wakeMs(): number {
    return this.#nextMs;
  }

  /** The view, if there is one now. Both clocks are looked at here, each time. */
  view(now: Reading): Fence | undefined {
    if (this.#view === undefined) return undefined;
    if (!this.#protections['clocks-at-each-use']) return this.#flag ? this.#view : undefined;
    return isOver(this.#view, now, this.#protections['wall-clock-too']) ? undefined : this.#view;
  }

  tick(now: Reading, emit: Emit): void {
    const view = this.#view;
    if (view !== undefined && isOver(view, now, this.#protections['wall-clock-too'])) {
      this.#flag = false;
    }
    if (now.monotonicMs < this.#nextMs) return;
    if (this.#held?.isAcquired) this.renew(now, emit);
    else this.acquire(now, emit);
  }

  /** Asks for a lease, and in the same turn for its first view: the registry may see either first. */
  acquire(now: Reading, emit: Emit): void {
    if (this.#isDrained) return;
    const leaseId = this.#held?.id ?? this.#settings.newLeaseId();
    const requestId = ++this.#lastRequestId;
    const acquiring = { requestId, sent: fenceFrom(now, 0) };
    this.#held = { id: leaseId, isAcquired: false, acquiring };
    emit({ kind: 'acquire', requestId, leaseId, guardName: this.#settings.guardName });
    this.renew(now, emit);
  }

  acquired(
    requestId: number,
    reply: { numbers: LeaseNumbers } | undefined,
    now: Reading,
    emit: Emit,
  ): void {
    const held = this.#held;
    if (held === undefined || held.isAcquired || requestId !== held.acquiring.requestId) return;
    if (reply === undefined) {
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
    this.#nextMs = now.monotonicMs + this.#settings.requestMs;
    emit({ kind: 'renew', requestId, leaseId: held.id, ...this.#places() });
  }

  /** Answers whether the guard is behind what is required: then it renews as soon as it is not. */
  renewed(requestId: number, reply: RenewAnswer | undefined, now: Reading, emit: Emit): boolean {
    const renewal = this.#renewing.get(requestId);
    const held = this.#held;
    if (renewal === undefined || held === undefined) return false;
    this.#renewing.delete(requestId);
    const isLatest = requestId === this.#latest;
    if (reply?.result === 'granted') {
      held.isAcquired = true;
      this.#grant(renewal.sent, reply.numbers, now);
      if (isLatest) this.#nextMs = renewal.sent.fromMonotonicMs + reply.numbers.renewMs;
      return false;
    }
    if (reply?.result === 'lost' && renewal.wasAcquired) {
      // Facts and positions stay: a new lease goes on from them.
      this.#forget();
      this.acquire(now, emit);
      return false;
    }
    if (isLatest) this.#nextMs = now.monotonicMs + this.#settings.retryMs;
    return reply?.result === 'behind';
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
    this.#view = undefined;
    this.#renewing.clear();
  }

  /** Throws RangeError for numbers that would be dangerous. */
  #grant(sent: Fence, numbers: LeaseNumbers, now: Reading): void {
    checkLeaseNumbers(numbers);
    const from = this.#protections['view-from-send'] ? sent : fenceFrom(now, 0);
    const isLater = this.#view === undefined || from.fromMonotonicMs >= this.#view.fromMonotonicMs;
    if (isLater) this.#view = { ...from, lengthMs: viewMsOf(numbers) };
    this.#flag = true;
  }

  #forgetOldest(): void {
    for (const requestId of this.#renewing.keys()) {
      this.#renewing.delete(requestId);
      return;
    }
  }
}
