import { bounded } from '@silo/mongo/read.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import { untraced } from '@silo/runtime/tracing.ts';
import type { ChangeStream, ChangeStreamDocument } from 'mongodb';
import type { LogCollections } from './collections.ts';
import type { LogDocument } from './documents.ts';

/** How long the server keeps a request for changes open; shorter than the socket's timeout. */
const awaitMaxMs = 10_000;

/**
 * The last known head of a log, from this process's reads and sequencing, and from a change stream.
 */
export class LogHead {
  readonly #collections: LogCollections;
  readonly #signal: AbortSignal;
  readonly #log: Log;
  readonly #listeners = new Set<(sequence: number) => void>();
  #sequence = 0;
  #watching: Promise<void> | undefined;

  constructor(options: { collections: LogCollections; signal: AbortSignal; log: Log }) {
    this.#collections = options.collections;
    this.#signal = options.signal;
    this.#log = options.log;
  }

  /** Reports that the log has reached a sequence. */
  advance(sequence: number): void {
    if (sequence <= this.#sequence) return;
    this.#sequence = sequence;
    for (const listener of this.#listeners) listener(sequence);
  }

  /** Resolves when the head is known to be past `afterSequence`, at the latest after `maxMs`. */
  async wait(afterSequence: number, maxMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#sequence > afterSequence) return;
    // A change stream costs the server resources, so it is opened for the first caller, outside of
    // any caller's trace.
    this.#watching ??= untraced(() => this.#watch());
    const { promise, resolve } = Promise.withResolvers<void>();
    const listener = (sequence: number) => {
      if (sequence > afterSequence) resolve();
    };
    const onAbort = () => resolve();
    const timer = setTimeout(resolve, maxMs);
    this.#listeners.add(listener);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(listener);
      signal.removeEventListener('abort', onAbort);
    }
    signal.throwIfAborted();
  }

  /** Resolves when the change stream has ended, after the signal. */
  async idle(): Promise<void> {
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { log } = this.#collections;
    await runForever(
      { name: 'log-head', intervalMs: 100, signal: this.#signal, log: this.#log },
      async (signal) => {
        // Starts at the time of a read, so that no change is missed between an earlier stream and
        // this one.
        await using session = log.db.client.startSession({ causalConsistency: true });
        const present = await log.findOne({ _id: 'log' }, { ...bounded, session });
        if (present !== null) this.advance(present.sequence);
        const stream = log.watch<LogDocument>([{ $match: { 'documentKey._id': 'log' } }], {
          ...(session.operationTime && { startAtOperationTime: session.operationTime }),
          maxAwaitTimeMS: awaitMaxMs,
        });
        try {
          await race(this.#follow(stream), signal);
        } finally {
          // Not awaited, because the server answers only at a change or after `awaitMaxMs`.
          stream.close().catch(() => {});
        }
      },
    );
  }

  async #follow(
    stream: ChangeStream<LogDocument, ChangeStreamDocument<LogDocument>>,
  ): Promise<void> {
    for await (const change of stream) {
      if (change.operationType !== 'update') continue;
      const sequence = change.updateDescription.updatedFields?.sequence;
      if (sequence !== undefined) this.advance(sequence);
    }
  }
}
