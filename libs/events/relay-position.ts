import { isDuplicateKey } from '@silo/mongo/from-mongo.ts';
import type { Db } from 'mongodb';

type PositionDocument = { _id: 'nats'; sequence: number; fence: number };

const timeMaxMs = 5_000;

/** The last position of a service's log that the broker is recorded to have acknowledged. */
export class RelayPosition {
  readonly #db: Db;
  readonly #fence: number;

  constructor(db: Db, fence: number) {
    this.#db = db;
    this.#fence = fence;
  }

  async read(): Promise<number> {
    const found = await this.#positions().findOne({ _id: 'nats' }, { maxTimeMS: timeMaxMs });
    return found?.sequence ?? 0;
  }

  /** Records the position; throws if a later leader has recorded one. */
  async note(sequence: number): Promise<void> {
    try {
      await this.#positions().updateOne(
        { _id: 'nats', fence: { $lte: this.#fence } },
        { $max: { sequence }, $set: { fence: this.#fence } },
        { upsert: true, maxTimeMS: timeMaxMs },
      );
    } catch (error) {
      if (isDuplicateKey(error)) throw new Error('another relay leads', { cause: error });
      throw error;
    }
  }

  #positions() {
    return this.#db.collection<PositionDocument>('relays', {
      readConcern: { level: 'majority' },
      writeConcern: { w: 'majority' },
    });
  }
}
