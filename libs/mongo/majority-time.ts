import { errors } from '@silo/errors/errors.ts';
import { coalesce } from '@silo/runtime/coalesce.ts';
import type { Db, Timestamp } from 'mongodb';

const timeMaxMs = 5_000;
const writeConcern = { w: 'majority', journal: true, wtimeoutMS: timeMaxMs } as const;

type ReadMarkDocument = { _id: 'reads'; count: number };

const readers = new WeakMap<Db, (request: undefined) => Promise<Timestamp>>();

/**
 * A time in the primary's order of writes that is later than every write acknowledged before the
 * call. It is the time of a majority write, so the server that accepted it was the primary, and a
 * majority read that is causally after it sees all those writes. Concurrent calls share one write.
 * Rejects with the driver's error if no primary acknowledges the write in 5 s, and with
 * DEPENDENCY_UNAVAILABLE if the server that accepted it is in no replica set yet.
 * A linearizable read also makes the server write (a no-op), but one for each read, and on a set of
 * one member the read then waits for the periodic journal flush, 100 ms by default. A write with
 * `j` starts that flush.
 */
export function majorityTime(db: Db): Promise<Timestamp> {
  let read = readers.get(db);
  if (read === undefined) {
    read = coalesce(() => writeMark(db));
    readers.set(db, read);
  }
  return read(undefined);
}

async function writeMark(db: Db): Promise<Timestamp> {
  const marks = db.collection<ReadMarkDocument>('read_marks');
  await using session = db.client.startSession({ causalConsistency: true });
  await marks.updateOne(
    { _id: 'reads' },
    { $inc: { count: 1 } },
    { session, upsert: true, maxTimeMS: timeMaxMs, writeConcern },
  );
  const { operationTime } = session;
  // A server that has just started, and has not joined its replica set yet, has no operation time.
  if (operationTime === undefined) throw errors.dependencyUnavailable('mongodb');
  return operationTime;
}
