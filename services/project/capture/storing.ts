import type { Permit } from '@silo/access/permits.ts';
import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import type { Call } from '@silo/rpc/call.ts';
import { SharedBytes } from '@silo/runtime/shared-bytes.ts';
import { traced, untraced } from '@silo/runtime/tracing.ts';
import { type CapturedEventStore, OutcomeUnknown } from '../store/captured-events.ts';
import type { EventBatch } from '../store/event-collection.ts';
import { FairQueue } from './fair-queue.ts';

/**
 * Limits of one transaction: batches and bytes. Each event also counts for overhead, so that the
 * bytes suffice for some 1,500 events.
 */
const groupBounds = { countMax: 500, bytesMax: 4 * 1024 * 1024 };
/** One group is written while another waits for its commit. */
const groupsAtOnce = 2;
const waitingMax = 4_000;
/** Maximum memory of all batches that this process is storing. */
const storingBytesMax = 64 * 1024 * 1024;
const groupMsMax = 5_000;
/** The rest of a permit must suffice for a transaction and its commit. */
const permitMsMin = 200;
const retryMs = 1_000;

type Waiting = {
  batch: EventBatch;
  /** The project. */
  owner: string;
  /** Memory of the batch. */
  bytes: number;
  permit: Permit;
  call: Pick<Call, 'signal' | 'authorization'>;
  resolve(isThere: boolean[]): void;
  reject(error: unknown): void;
};

/**
 * Stores the batches of one process. Batches that wait at the same time share one transaction.
 * Projects take turns, and each may hold as much memory as it leaves free, so that none blocks the
 * others.
 */
export class Storing {
  readonly #events: Pick<CapturedEventStore, 'insert'>;
  readonly #waiting = new FairQueue<Waiting>();
  readonly #held = new SharedBytes(storingBytesMax, 1);
  #running = 0;
  /**
   * The group that is being written; undefined if all running groups only wait for their commits.
   */
  #written: readonly Waiting[] | undefined;

  constructor(events: Pick<CapturedEventStore, 'insert'>) {
    this.#events = events;
  }

  /**
   * Returns for each event whether it was stored before. If the outcome is unknown, leaves the
   * permits of the call to expire. Refuses with RATE_LIMITED, DEPENDENCY_UNAVAILABLE.
   */
  async store(
    batch: EventBatch,
    { bytes, permit }: Pick<Waiting, 'bytes' | 'permit'>,
    call: Pick<Call, 'signal' | 'authorization'>,
  ): Promise<boolean[]> {
    if (batch.events.length === 0) return [];
    const owner = batch.projectId;
    const mayWait = this.#waiting.sizeOf(owner) < waitingMax - this.#waiting.size;
    if (!mayWait || !this.#held.take(owner, bytes)) throw errors.rateLimited('storing', retryMs);
    try {
      const { promise, resolve, reject } = Promise.withResolvers<boolean[]>();
      this.#waiting.add({ batch, owner, bytes, permit, call, resolve, reject });
      this.#begin();
      return await traced({ name: 'store events', kind: 'internal' }, () => promise);
    } finally {
      this.#held.release(owner, bytes);
    }
  }

  #begin(): void {
    const isBusy = this.#written !== undefined || this.#running === groupsAtOnce;
    if (isBusy || this.#waiting.size === 0) return;
    const group = this.#waiting.take(groupBounds);
    this.#running++;
    this.#written = group;
    const onWritten = () => {
      if (this.#written === group) this.#written = undefined;
      this.#begin();
    };
    // Outside the traces of the batches: under load one group begins the next.
    void untraced(() => this.#storeGroup(group, onWritten)).finally(() => {
      this.#running--;
      onWritten();
    });
  }

  /** Settles every batch of the group, and never rejects. */
  async #storeGroup(group: readonly Waiting[], onWritten: () => void): Promise<void> {
    const ready = group.filter(isReady);
    if (ready.length === 0) return;
    const batches = ready.map(({ batch }) => batch);
    const permits = ready.map(({ permit }) => permit);
    const signal = AbortSignal.timeout(groupMsMax);
    try {
      const answers = await this.#events.insert(batches, { permits, signal, onWritten });
      for (const [index, { resolve }] of ready.entries()) resolve(answers[index] ?? []);
    } catch (error) {
      const isUnknown = error instanceof OutcomeUnknown;
      const refusal =
        isUnknown || signal.aborted ? errors.dependencyUnavailable('mongodb', error) : error;
      if (!isUnknown && ready.length > 1 && !signal.aborted) {
        // One failed batch must not fail the others.
        if (!permits.every(isLasting)) return await this.#storeGroup(ready, onWritten);
        if (!(refusal instanceof SiloError)) {
          for (const each of ready) await this.#storeGroup([each], onWritten);
          return;
        }
      }
      for (const { call, reject } of ready) {
        // The events may be stored: the revocation of their tokens waits until the permits expire.
        if (isUnknown) call.authorization?.leaveToExpire();
        reject(refusal);
      }
    }
  }
}

function isLasting(permit: Permit): boolean {
  return permit.remainingMs() >= permitMsMin;
}

/** Rejects a batch that has waited too long; otherwise returns true. */
function isReady({ call, permit, reject }: Waiting): boolean {
  if (call.signal.aborted) reject(call.signal.reason);
  else if (!isLasting(permit)) reject(errors.dependencyUnavailable('the access registry'));
  else return true;
  return false;
}
