import { bounded } from '@silo/mongo/read.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { Log } from '@silo/runtime/log.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import type { ChangeStream, ChangeStreamDocument } from 'mongodb';
import type { LogCollections } from './collections.ts';
import type { LogDocument } from './documents.ts';
import type { NumberedListener } from './numbering.ts';

/** How long the server keeps a request for changes open; below the socket's timeout. */
const awaitMaxMs = 10_000;

/** Tells whoever listens of new heads, those that other processes made too. */
export class HeadWatch {
  readonly #collections: LogCollections;
  readonly #signal: AbortSignal;
  readonly #log: Log;
  readonly #listeners = new Set<NumberedListener>();
  #sequence = 0;
  #watching: Promise<void> | undefined;

  constructor(options: { collections: LogCollections; signal: AbortSignal; log: Log }) {
    this.#collections = options.collections;
    this.#signal = options.signal;
    this.#log = options.log;
  }

  /** The highest head heard of; 0 before the first. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Passes on that the log reaches this far. */
  tell(sequence: number): void {
    if (sequence <= this.#sequence) return;
    this.#sequence = sequence;
    for (const listener of this.#listeners) listener(sequence);
  }

  /** Calls `listener` with every new head until disposed of. It must not throw. */
  listen(listener: NumberedListener): Disposable {
    // A change stream costs the server something: opened for the first who wants to know.
    this.#watching ??= this.#watch();
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Resolves when the head is known to be past `afterSequence`, or after `withinMs`. */
  async past(afterSequence: number, withinMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    using _listening = this.listen((sequence) => {
      if (sequence > afterSequence) resolve();
    });
    if (this.#sequence > afterSequence) return;
    const timer = setTimeout(resolve, withinMs);
    const onAbort = () => resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
    signal.throwIfAborted();
  }

  /** Resolves when the watching has ended. */
  async idle(): Promise<void> {
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { log } = this.#collections;
    await runForever(
      { name: 'head-watch', intervalMs: 100, signal: this.#signal, log: this.#log },
      async (signal) => {
        // From the time of a read: no change falls between an earlier stream and this one.
        await using session = log.db.client.startSession({ causalConsistency: true });
        const present = await log.findOne({ _id: 'log' }, { ...bounded, session });
        if (present !== null) this.tell(present.sequence);
        const stream = log.watch<LogDocument>([{ $match: { 'documentKey._id': 'log' } }], {
          ...(session.operationTime && { startAtOperationTime: session.operationTime }),
          maxAwaitTimeMS: awaitMaxMs,
        });
        try {
          await race(this.#follow(stream), signal);
        } finally {
          // Not waited for: the server answers when there is news, or after `awaitMaxMs`.
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
      if (sequence !== undefined) this.tell(sequence);
    }
  }
}
