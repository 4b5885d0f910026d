import { enumName } from '@silo/protos/enum-name.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { ChangeStream, Document } from 'mongodb';
import type { RegionalSilo } from '../../harness/regions.ts';
import { afterChange } from './record-changes.ts';

const awaitMs = 50;
/** More than the pauses and retries of a migration take in total. */
const reachedMsMax = 180_000;

/** The places of both ends' records. */
type Ends = Record<'from' | 'to', Pick<RegionalSilo, 'mongo' | 'databasePrefix'>>;

/**
 * A step of a migration, recognized by a stored document of one end: the record of the migration
 * unless another collection is named.
 */
type Moment = {
  end: keyof Ends;
  collection?: typeof copies;
  stored: (document: Document) => boolean;
};

const records = 'project_migrations';
const copies = 'migration_copies';
const { MIGRATION_STATE_VERIFYING: verifying, MIGRATION_STATE_CUTOVER: cutover } = MigrationState;
const { MIGRATION_STATE_DONE: done } = MigrationState;

/** In order from the start to the end. */
const moments = {
  copying: {
    ...{ end: 'to', collection: copies },
    stored: ({ eventsCopied, isScanned }) => eventsCopied > 0 || isScanned === true,
  },
  scanned: { end: 'to', stored: ({ state }) => state === verifying },
  'slot taken': { end: 'to', stored: ({ hasSlot }) => hasSlot === true },
  held: { end: 'from', stored: ({ state }) => state === cutover },
  fenced: { end: 'from', stored: ({ fencedAttempt }) => fencedAttempt !== undefined },
  arrived: { end: 'to', stored: ({ arrivedAttempt }) => arrivedAttempt !== undefined },
  committed: { end: 'from', stored: ({ commitTime }) => commitTime !== undefined },
  activated: { end: 'to', stored: ({ state }) => state === done },
} as const satisfies Record<string, Moment>;

export type MomentName = keyof typeof moments;
export const momentNames = Object.keys(moments) as MomentName[];

/** The moments of the migrations that run while it is open. */
export type MomentWatch = AsyncDisposable & {
  /**
   * Resolves within milliseconds of the moment. Rejects with the state of the migration once it has
   * ended without the moment, or after `withinMs`.
   */
  reached(name: MomentName, migrationId: string, withinMs?: number): Promise<void>;
};

/**
 * Watches from now on. It uses the content of each change, not the document at the time of reading
 * it, so that a state that lasts milliseconds is not missed.
 */
export async function watchMoments(ends: Ends): Promise<MomentWatch> {
  await using opened = new AsyncDisposableStack();
  const watches = {
    from: opened.use(await EndWatch.open(ends, 'from')),
    to: opened.use(await EndWatch.open(ends, 'to')),
  };
  const open = opened.move();
  return {
    reached: (name, migrationId, withinMs = reachedMsMax) =>
      watches[moments[name].end].reached(name, migrationId, withinMs),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** The changes at one end. */
class EndWatch implements AsyncDisposable {
  readonly #end: keyof Ends;
  readonly #changes: ChangeStream;
  readonly #documents = new Map<string, Document>();
  readonly #passed = new Set<string>();
  #failure: { error: unknown } | undefined;
  #changed = Promise.withResolvers<void>();

  static async open(ends: Ends, end: keyof Ends): Promise<EndWatch> {
    const { mongo, databasePrefix } = ends[end];
    const db = mongo.db(`${databasePrefix}_project`);
    const changes = db.watch([{ $match: { 'ns.coll': { $in: [records, copies] } } }], {
      maxAwaitTimeMS: awaitMs,
    });
    // The stream is open before anything happens.
    await changes.tryNext();
    const watch = new EndWatch(end, changes);
    for (const name of [records, copies]) {
      for await (const document of db.collection(name).find()) {
        watch.#documents.set(`${name} ${document._id}`, document);
      }
    }
    void watch.#follow();
    return watch;
  }

  private constructor(end: keyof Ends, changes: ChangeStream) {
    this.#end = end;
    this.#changes = changes;
  }

  async reached(name: MomentName, migrationId: string, withinMs: number): Promise<void> {
    const within = AbortSignal.timeout(withinMs);
    while (!this.#passed.has(`${name} ${migrationId}`)) {
      const record = this.#documents.get(`${records} ${migrationId}`);
      const shown = record === undefined ? 'no record' : enumName(MigrationState, record.state);
      if (record?.state >= done) throw new Error(`${shown} without the moment '${name}'`);
      if (this.#failure) throw this.#failure.error;
      await race(this.#changed.promise, within).catch(() => {
        throw new Error(`${shown} after ${withinMs} ms without the moment '${name}'`);
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#changes.close();
  }

  async #follow(): Promise<void> {
    try {
      for await (const change of this.#changes) {
        if (!('documentKey' in change) || !('coll' in change.ns)) continue;
        const id = String(change.documentKey._id);
        const key = `${change.ns.coll} ${id}`;
        const after = afterChange(this.#documents.get(key), change);
        if (after === undefined) this.#documents.delete(key);
        else this.#note(change.ns.coll, id, after);
      }
    } catch (error) {
      this.#failure = { error };
      this.#notify();
    }
  }

  #note(collection: string, id: string, document: Document): void {
    this.#documents.set(`${collection} ${id}`, document);
    for (const [name, moment] of Object.entries<Moment>(moments)) {
      const { end, collection: its = records, stored } = moment;
      if (end === this.#end && its === collection && stored(document)) {
        this.#passed.add(`${name} ${id}`);
      }
    }
    this.#notify();
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
