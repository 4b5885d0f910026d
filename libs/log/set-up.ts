import { fromMongo, isDuplicateKey } from '@silo/mongo/from-mongo.ts';
import { indexMigration } from '@silo/mongo/indexes.ts';
import type { Migration } from '@silo/mongo/migrations.ts';
import { bounded } from '@silo/mongo/read.ts';
import { retentionSeconds } from '@silo/mongo/retention.ts';
import { ulid } from 'ulid';
import { logCollections } from './collections.ts';

/** Creates what an event log needs: its collections, their indexes, its first incarnation. */
export const logMigrations: readonly Migration[] = [
  indexMigration('log-indexes', {
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
  }),
  {
    name: 'log-incarnation',
    isDone: async (db) => (await logCollections(db).log.countDocuments({}, bounded)) > 0,
    run: async (db) => {
      try {
        await logCollections(db).log.updateOne(
          { _id: 'log' },
          { $setOnInsert: { sequence: 0, incarnation: ulid().toLowerCase() } },
          { upsert: true },
        );
      } catch (error) {
        if (!isDuplicateKey(error)) throw fromMongo(error); // another process was first
      }
    },
  },
];
