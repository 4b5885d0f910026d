import { race } from '@silo/runtime/deadline.ts';
import type { ClientSession, Long, MongoClient, UUID } from 'mongodb';

/** Limit between two statements of a living process's transaction. */
const inactiveMaxMs = 1_000;
const timeMaxMs = 1_000;

/** The times of a transaction at an earlier check, by the server's clock. */
type Seen = { activeMicros: number; inactiveMicros: number };
type IdleTransaction = { lsid: { id: UUID }; txnNumber: number | Long } & Seen;

/** What each client saw of each transaction at its last statement. */
const seenBy = new WeakMap<MongoClient, Map<string, Seen>>();

/**
 * Ends the transactions of processes with this client's name that had no statement for a second
 * since an earlier check, and returns how many. A process that is killed inside a transaction
 * leaves it open, and its locks, possibly on the log's counter, would last for the server's
 * `transactionLifetimeLimitSeconds`, 60 by default. The total waiting time is no criterion: on a
 * slow machine each statement of a living process is late. Ending a living process's transaction is
 * safe: the process gets an error and retries.
 */
export async function endDeadTransactions(client: MongoClient): Promise<number> {
  const { appName } = client.options;
  if (appName === undefined) return 0;
  const admin = client.db('admin');
  const idle = await admin
    .aggregate<IdleTransaction>(
      [
        { $currentOp: { allUsers: false, idleSessions: true } },
        { $match: { type: 'idleSession', appName, transaction: { $exists: true } } },
        {
          $project: {
            lsid: 1,
            txnNumber: '$transaction.parameters.txnNumber',
            activeMicros: '$transaction.timeActiveMicros',
            inactiveMicros: '$transaction.timeInactiveMicros',
          },
        },
      ],
      // The id must be sent back as the same UUID.
      { maxTimeMS: timeMaxMs, readConcern: { level: 'local' }, promoteBuffers: false },
    )
    .toArray();
  const before = seenBy.get(client);
  const seen = new Map<string, Seen>();
  seenBy.set(client, seen);
  const dead = idle.filter(({ lsid, txnNumber, activeMicros, inactiveMicros }) => {
    const name = `${lsid.id} ${txnNumber}`;
    const last = before?.get(name);
    // A statement increases the server's active time.
    const since = last?.activeMicros === activeMicros ? last : { activeMicros, inactiveMicros };
    seen.set(name, since);
    return inactiveMicros - since.inactiveMicros > inactiveMaxMs * 1_000;
  });
  if (dead.length === 0) return 0;
  const killSessions = dead.map(({ lsid: { id } }) => ({ id }));
  await admin.command({ killSessions, maxTimeMS: timeMaxMs });
  return dead.length;
}

/**
 * Ends the transaction of a session at the server, unless it is committed; takes at most a second.
 */
export async function endTransaction(client: MongoClient, { id }: ClientSession): Promise<void> {
  const killed = client.db('admin').command({ killSessions: [id], maxTimeMS: timeMaxMs });
  await race(killed, AbortSignal.timeout(timeMaxMs));
}
