import type { Reading } from '@silo/guard/core/fence.ts';
import { haveReached, laterOf, type Positions, sources } from '@silo/guard/core/position.ts';
import { allProtections, type Protections } from '@silo/guard/core/protections.ts';
import type { LeaseNumbers } from '@silo/guard/core/settings.ts';
import { hasReached } from '@silo/log/position.ts';
import { Barrier } from './barrier.ts';
import { Committed } from './committed-positions.ts';
import type {
  AcknowledgedMessage,
  RegistryAction,
  RegistryCall,
  RegistryInput,
  RegistryReply,
  StoredLease,
  StoreOperation,
  StoreResult,
} from './messages.ts';
import { ObservedLeases } from './observed-leases.ts';
import { ReceivedAcknowledgements } from './received-acknowledgements.ts';
import { checkRegistrySettings, type RegistrySettings } from './settings.ts';

/** Continues after an operation of the store has ended. */
type Continue = (result: StoreResult, now: Reading) => void;

/**
 * One replica of the lease registry and the barrier as a pure state machine (docs/consistency.md),
 * over a durable store that all replicas share. Its own state may be lost at any time.
 */
export class RegistryCore {
  readonly #settings: RegistrySettings;
  readonly #protections: Protections;
  readonly #numbers: LeaseNumbers;
  readonly #observed: ObservedLeases;
  readonly #committed: Committed;
  readonly #received: ReceivedAcknowledgements;
  readonly #operations = new Map<number, Continue>();
  readonly #barriers = new Map<number, Barrier>();
  #lastOperationId = 0;
  #isListing = false;
  #nextListMs = 0;
  #actions: RegistryAction[] = [];

  /** Throws RangeError for invalid settings. */
  constructor(settings: RegistrySettings, protections: Protections = allProtections) {
    checkRegistrySettings(settings);
    this.#settings = settings;
    const { leaseMs, renewMs, driftShare } = settings;
    this.#numbers = { leaseMs, renewMs, driftShare };
    this.#protections = protections;
    this.#observed = new ObservedLeases(settings.leaseMs);
    this.#committed = new Committed(protections);
    const isByLease = protections['acknowledge-by-lease'];
    this.#received = new ReceivedAcknowledgements(isByLease, this.#committed);
  }

  /** Time at which the next tick is due, by the monotonic clock. */
  wakeMonotonicMs(): number {
    const nextListMs = this.#isListing ? Number.POSITIVE_INFINITY : this.#nextListMs;
    let wakeMs = Math.min(nextListMs, this.#observed.nextDeadMs());
    for (const barrier of this.#barriers.values()) {
      if (barrier.isListed) wakeMs = Math.min(wakeMs, barrier.deadlineMs);
    }
    return wakeMs;
  }

  /**
   * Takes one input, with clocks that were read in the same turn. Returns the actions to perform.
   */
  step(input: RegistryInput, now: Reading): RegistryAction[] {
    switch (input.kind) {
      case 'call':
        this.#call(input.callId, input.call, now);
        break;
      case 'abandon':
        this.#barriers.delete(input.callId);
        break;
      case 'acknowledged':
        this.#acknowledged(input);
        break;
      case 'committed':
        this.#learn(input.positions);
        break;
      case 'stored':
        this.#stored(input.operationId, input.result, now);
        break;
      case 'tick':
        this.#tick(now);
        break;
    }
    this.#finishBarriers(now);
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  #acknowledged({ leaseId, guardName, positions, applied }: AcknowledgedMessage): void {
    this.#received.add(leaseId, guardName, this.#withinApplied(leaseId, positions, applied));
    const only = this.#protections['acknowledge-by-lease'] ? leaseId : undefined;
    for (const barrier of this.#barriers.values()) barrier.look(this.#received, only);
  }

  /**
   * Records positions that sources have committed. From now on, positions up to them are accepted.
   */
  #learn(positions: Positions): void {
    if (!this.#committed.learn(positions)) return;
    for (const barrier of this.#barriers.values()) barrier.look(this.#received);
  }

  /** Returns each acknowledged position that is applied, too, and omits the others. */
  #withinApplied(leaseId: string, acknowledged: Positions, applied: Positions): Positions {
    if (!this.#protections['acknowledged-within-applied']) return acknowledged;
    const within: Positions = {};
    for (const source of sources) {
      const position = acknowledged[source];
      if (position === undefined) continue;
      if (hasReached(applied[source], position)) within[source] = position;
      else this.#actions.push({ kind: 'claimRejected', leaseId, why: 'beyond_applied' });
    }
    return within;
  }

  /**
   * Continues once it is known which claimed positions exist. Nearly always requirements and
   * broadcasts of the sources have shown that already; otherwise the heads of their logs are read.
   */
  #accept(leaseId: string, claims: Positions, then: () => void): void {
    const beyond = this.#committed.beyond(claims);
    let unread = beyond.length;
    if (unread === 0) then();
    for (const source of beyond) {
      this.#store({ kind: 'readHead', source }, (result) => {
        if (result.kind === 'head') this.#learn({ [source]: result.head });
        if (--unread > 0) return;
        if (this.#committed.beyond(claims).length > 0) {
          this.#actions.push({ kind: 'claimRejected', leaseId, why: 'beyond_log' });
        }
        then();
      });
    }
  }

  #store(operation: StoreOperation, then: Continue): void {
    const operationId = ++this.#lastOperationId;
    this.#operations.set(operationId, then);
    this.#actions.push({ kind: 'store', operationId, operation });
  }

  #stored(operationId: number, result: StoreResult, now: Reading): void {
    const then = this.#operations.get(operationId);
    this.#operations.delete(operationId);
    then?.(result, now);
  }

  #reply(callId: number, reply: RegistryReply): void {
    this.#actions.push({ kind: 'reply', callId, reply });
  }

  #call(callId: number, call: RegistryCall, now: Reading): void {
    switch (call.kind) {
      case 'acquire':
        this.#acquire(callId, call);
        break;
      case 'renew':
        this.#renew(callId, call);
        break;
      case 'release':
        this.#release(callId, call);
        break;
      case 'require':
        this.#require(callId, call.positions);
        break;
      case 'awaitBarrier':
        this.#awaitBarrier(callId, call.positions, now);
        break;
    }
  }

  /** Writes a lease and grants nothing. */
  #acquire(callId: number, call: Extract<RegistryCall, { kind: 'acquire' }>): void {
    const { leaseId, owner, guardName } = call;
    const { leaseMs } = this.#settings;
    const lease = { id: leaseId, owner, guardName, version: 0, acknowledged: {}, leaseMs };
    this.#store({ kind: 'insertLease', lease }, (result) => {
      const numbers = this.#numbers;
      if (result.kind !== 'found') this.#reply(callId, { kind: 'failed' });
      else this.#reply(callId, result.isFound ? { kind: 'acquired', numbers } : { kind: 'taken' });
    });
  }

  /**
   * Writes the lease first and then reads the requirement. A barrier that has listed the leases
   * before this write has made its requirement durable before, so this read returns it.
   */
  #renew(callId: number, call: Extract<RegistryCall, { kind: 'renew' }>): void {
    const { leaseId, applied, acknowledged } = call;
    this.#accept(leaseId, laterOf(applied, acknowledged), () => {
      const accepted = this.#committed.accepted(applied);
      const within = this.#withinApplied(leaseId, this.#committed.accepted(acknowledged), applied);
      this.#renewLease(callId, { ...call, applied: accepted, acknowledged: within });
    });
  }

  #renewLease(callId: number, call: Extract<RegistryCall, { kind: 'renew' }>): void {
    const { leaseId, applied, acknowledged } = call;
    const { leaseMs } = this.#settings;
    const owner = this.#ownerOf(call);
    const write: StoreOperation = { kind: 'renewLease', leaseId, owner, acknowledged, leaseMs };
    const read: StoreOperation = { kind: 'readRequirement' };
    const isLeaseFirst = this.#protections['requirement-after-lease'];
    this.#store(isLeaseFirst ? write : read, (first) => {
      if (!this.#isUsable(callId, first)) return;
      this.#store(isLeaseFirst ? read : write, (second) => {
        if (!this.#isUsable(callId, second)) return;
        const requirement = isLeaseFirst ? second : first;
        if (requirement.kind === 'requirement') {
          this.#learn(requirement.required);
          this.#answerRenewal(callId, applied, requirement.required);
        }
      });
    });
  }

  /** Whether a renewal can continue. If not, sends the reply. */
  #isUsable(callId: number, result: StoreResult): boolean {
    if (result.kind === 'failed') this.#reply(callId, { kind: 'failed' });
    else if (result.kind === 'found' && !result.isFound) {
      this.#reply(callId, { kind: 'renewed', answer: { result: 'lost' } });
    } else return true;
    return false;
  }

  #answerRenewal(callId: number, applied: Positions, required: Positions): void {
    const numbers = this.#numbers;
    const answer = haveReached(applied, required)
      ? ({ result: 'granted', numbers } as const)
      : ({ result: 'behind', required, numbers } as const);
    this.#reply(callId, { kind: 'renewed', answer });
  }

  /** Returns the owner that the lease must have. */
  #ownerOf({ owner }: { owner: string }): string | undefined {
    return this.#protections['lease-of-its-owner'] ? owner : undefined;
  }

  #release(callId: number, call: Extract<RegistryCall, { kind: 'release' }>): void {
    const { leaseId } = call;
    const owner = this.#ownerOf(call);
    this.#store({ kind: 'releaseLease', leaseId, owner }, ({ kind }) => {
      this.#reply(callId, kind === 'failed' ? { kind: 'failed' } : { kind: 'released' });
    });
  }

  #require(callId: number, positions: Positions): void {
    this.#learn(positions);
    this.#store({ kind: 'raiseRequirement', positions }, ({ kind }) => {
      this.#reply(callId, kind === 'failed' ? { kind: 'failed' } : { kind: 'required' });
    });
  }

  #awaitBarrier(callId: number, positions: Positions, now: Reading): void {
    this.#learn(positions);
    const barrier = new Barrier(positions, now.monotonicMs, this.#settings.leaseMs);
    this.#barriers.set(callId, barrier);
    this.#store({ kind: 'raiseRequirement', positions }, ({ kind }, durableAt) => {
      if (!this.#barriers.has(callId)) return;
      if (kind === 'failed') return this.#failBarrier(callId);
      barrier.durable(durableAt.monotonicMs);
      this.#store({ kind: 'listLeases' }, (result, listedAt) => {
        if (result.kind !== 'leases') return this.#failBarrier(callId);
        const leases = this.#see(result.leases, listedAt);
        barrier.listed(leases, this.#received);
        const relistAtMs = listedAt.monotonicMs + this.#settings.relistMs;
        this.#nextListMs = Math.min(this.#nextListMs, relistAtMs);
      });
    });
  }

  /**
   * Fails a barrier. It is unknown which guards have not acknowledged, so this is never a success.
   */
  #failBarrier(callId: number): void {
    if (this.#barriers.delete(callId)) this.#reply(callId, { kind: 'failed' });
  }

  #finishBarriers(now: Reading): void {
    for (const [callId, barrier] of this.#barriers) {
      const report = barrier.finish(now.monotonicMs);
      if (report === undefined) continue;
      this.#barriers.delete(callId);
      this.#reply(callId, { kind: 'passed', report });
    }
  }

  #see(listed: readonly StoredLease[], now: Reading): readonly StoredLease[] {
    const { leaseMs } = this.#settings;
    const isLongest = this.#protections['wait-for-longest-lease'];
    const leases = isLongest ? listed : listed.map((lease) => ({ ...lease, leaseMs }));
    this.#observed.see(leases, now.monotonicMs);
    return leases;
  }

  #tick(now: Reading): void {
    for (const { leaseId, version } of this.#observed.dead(now.monotonicMs)) {
      this.#observed.forget(leaseId);
      const onCondition = this.#protections['delete-on-condition'] ? version : undefined;
      this.#store({ kind: 'deleteLease', leaseId, version: onCondition }, () => {});
    }
    if (now.monotonicMs >= this.#nextListMs && !this.#isListing) this.#list(now);
  }

  /** Lists the leases, to find acknowledgements that other replicas received, and dead leases. */
  #list(now: Reading): void {
    this.#isListing = true;
    this.#nextListMs = now.monotonicMs + this.#settings.sweepMs;
    const waiting = [...this.#barriers.values()].filter((barrier) => barrier.isListed);
    this.#store({ kind: 'listLeases' }, (result, listedAt) => {
      this.#isListing = false;
      if (result.kind === 'leases') {
        const leases = this.#see(result.leases, listedAt);
        this.#received.keep(leases);
        for (const barrier of waiting) barrier.listed(leases, this.#received);
      }
      if (this.#barriers.size > 0) {
        this.#nextListMs = listedAt.monotonicMs + this.#settings.relistMs;
      }
    });
  }
}
