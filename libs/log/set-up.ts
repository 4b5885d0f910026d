import { fromMongo, isDuplicateKey } from '@silo/mongo/from-mongo.ts';
import { ensureIndexes } from '@silo/mongo/indexes.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';
import type { Db } from 'mongodb';
import { ulid } from 'ulid';
import { logCollections } from './collections.ts';

/** Creates what an event log needs: its collections, their indexes, its first incarnation. */
export async function setUpEventLog(db: Db): Promise<void> {
  await ensureIndexes(db, {
    outbox: [],
    log: [],
    leases: [],
    relays: [],
    read_marks: [],
    events: [
      { key: { id: 1 }, unique: true },
      { key: { time: 1 }, expireAfterSeconds: retentionSeconds.event },
    ],
    requests: [{ key: { expireTime: 1 }, expireAfterSeconds: 0 }],
  });
  try {
    await logCollections(db).log.updateOne(
      { _id: 'log' },
      { $setOnInsert: { sequence: 0, incarnation: ulid().toLowerCase() } },
      { upsert: true },
    );
  } catch (error) {
    if (!isDuplicateKey(error)) throw fromMongo(error); // another process was first
  }
}
