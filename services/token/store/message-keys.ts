import { randomBytes } from 'node:crypto';
import { isDuplicateKey } from '@silo/mongo/from-mongo.ts';
import { bounded, collectionOptions, reading } from '@silo/mongo/read.ts';
import type { Db } from 'mongodb';
import { ulid } from 'ulid';
import type { BroadcastKeyDocument, LeaseRootDocument } from './documents.ts';

/** A broadcast key as it is stored, with its age by the database's clock. */
export type StoredBroadcastKey = { number: number; id: string; secret: Buffer; ageMs: number };

/** The secrets of NATS messages. Outside the service, only guards get some of them. */
export type MessageKeyStore = ReturnType<typeof createMessageKeyStore>;

const secretSizeBytes = 32;
/** Number of the latest keys that are read. Older keys have expired. */
const keysMax = 4;

/** Opens the keys in the service's database until `signal`. Each operation is bounded. */
export function createMessageKeyStore(db: Db, signal: AbortSignal) {
  const keys = db.collection<BroadcastKeyDocument>('broadcast_keys', collectionOptions);
  const roots = db.collection<LeaseRootDocument>('lease_roots', collectionOptions);

  return {
    /** Returns the latest keys, newest first. */
    async list(): Promise<StoredBroadcastKey[]> {
      const stages = [
        { $sort: { _id: -1 } },
        { $limit: keysMax },
        {
          $project: {
            ...{ _id: 0, number: '$_id', id: '$keyId', secret: 1 },
            ageMs: { $subtract: ['$$NOW', '$createTime'] },
          },
        },
      ];
      const found = keys.aggregate<StoredBroadcastKey>(stages, {
        ...bounded,
        promoteBuffers: true,
      });
      const listed = await reading(found.toArray(), signal);
      return listed.map(({ ageMs, ...key }) => ({ ...key, ageMs: Number(ageMs) }));
    },

    /** Creates the key with this number, unless another replica has created it. */
    async create(number: number): Promise<void> {
      const write = keys.updateOne(
        { _id: number },
        {
          $setOnInsert: { keyId: ulid().toLowerCase(), secret: randomBytes(secretSizeBytes) },
          $currentDate: { createTime: true },
        },
        { ...bounded, upsert: true },
      );
      await reading(write, signal).catch((error) => {
        if (!isDuplicateKey(error)) throw error;
      });
    },

    /**
     * Returns the root from which the leases' secrets are derived. It is created once, and is the
     * same for all replicas.
     */
    async leaseRoot(): Promise<Buffer> {
      const read = () =>
        roots.findOne({ _id: 'acknowledgements' }, { ...bounded, promoteBuffers: true });
      const found = await reading(read(), signal);
      if (found !== null) return found.secret;
      const write = roots.updateOne(
        { _id: 'acknowledgements' },
        { $setOnInsert: { secret: randomBytes(secretSizeBytes) } },
        { ...bounded, upsert: true },
      );
      await reading(write, signal).catch((error) => {
        if (!isDuplicateKey(error)) throw error;
      });
      const made = await reading(read(), signal);
      if (made === null) throw new TypeError('the root of the leases’ secrets is missing');
      return made.secret;
    },
  };
}
