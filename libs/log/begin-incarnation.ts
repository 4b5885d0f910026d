import { fromMongo } from '@silo/mongo/from-mongo.ts';
import { bounded } from '@silo/mongo/read.ts';
import type { Db } from 'mongodb';
import { ulid } from 'ulid';
import { logCollections } from './collections.ts';
import type { Position } from './position.ts';

/**
 * Begins a later incarnation of the log in a database to which a backup was restored. Every event
 * that was sequenced after the backup is lost, and its sequence will be given to another event; so
 * guards and subscribers must not mistake earlier positions for positions in this log. Undefined if
 * the database has no log. Rejects if this machine's clock is behind the last incarnation.
 */
export async function beginIncarnation(db: Db): Promise<Position | undefined> {
  const { log } = logCollections(db);
  const incarnation = ulid().toLowerCase();
  try {
    const begun = await log.findOneAndUpdate(
      { _id: 'log', incarnation: { $lt: incarnation } },
      { $set: { incarnation } },
      { ...bounded, returnDocument: 'after' },
    );
    if (begun !== null) return { incarnation, sequence: begun.sequence };
    if ((await log.countDocuments({}, bounded)) === 0) return undefined;
  } catch (error) {
    throw fromMongo(error);
  }
  throw new Error('the clock of this machine is behind that of the last incarnation: set it');
}
