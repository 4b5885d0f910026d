import { race } from '@silo/runtime/deadline.ts';
import type { ClientSession, Long, MongoClient, UUID } from 'mongodb';

/** Between two statements of a transaction of ours. */
const inactiveMaxMs = 1_000;
const timeMaxMs = 1_000;

/** How a transaction was between two statements, by the server's clock. */
type Seen = { activeMicros: number; inactiveMicros: number };
type IdleTransaction = { lsid: { id: UUID }; txnNumber: number | Long } & Seen;

/** What each client has seen, by transaction, since the last statement of each. */
const seenBy = new WeakMap<MongoClient, Map<string, Seen>>();

/**
 * Ends the transactions of processes by this client's name that had no statement for a second since
 * an earlier look, and returns how many. A process killed inside one leaves it open, and what it has
 * locked, perhaps the log's counter, would stay locked for the server's
 * `transactionLifetimeLimitSeconds`, 60 by default. Their waits together say nothing: on a slow
 * machine each statement of a living process comes late. Safe if its process is alive: it gets an
 * error and retries.
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
      // An id must go back as the UUID that it is.
      { maxTimeMS: timeMaxMs, readConcern: { level: 'local' }, promoteBuffers: false },
    )
    .toArray();
  const before = seenBy.get(client);
  const seen = new Map<string, Seen>();
  seenBy.set(client, seen);
  const dead = idle.filter(({ lsid, txnNumber, activeMicros, inactiveMicros }) => {
    const name = `${lsid.id} ${txnNumber}`;
    const last = before?.get(name);
    // A statement takes time of the server's.
    const since = last?.activeMicros === activeMicros ? last : { activeMicros, inactiveMicros };
    seen.set(name, since);
    return inactiveMicros - since.inactiveMicros > inactiveMaxMs * 1_000;
  });
  if (dead.length === 0) return 0;
  const killSessions = dead.map(({ lsid: { id } }) => ({ id }));
  await admin.command({ killSessions, maxTimeMS: timeMaxMs });
  return dead.length;
}

/** Ends the transaction of a session at the server, unless it is committed; within a second. */
export async function endTransaction(client: MongoClient, { id }: ClientSession): Promise<void> {
  const killed = client.db('admin').command({ killSessions: [id], maxTimeMS: timeMaxMs });
  await race(killed, AbortSignal.timeout(timeMaxMs));
}
