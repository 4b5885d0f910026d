import type { MongoClient, UUID } from 'mongodb';

/** All pauses between a transaction's statements together: ours take milliseconds. */
const inactiveMs = 1_000;
const timeMaxMs = 1_000;

/**
 * Ends the transactions of processes by this client's name that have waited for them for a second
 * in all, and returns how many. A process killed inside one leaves it open, and what it has locked,
 * perhaps the log's counter, would stay locked for the server's `transactionLifetimeLimitSeconds`,
 * 60 by default. Safe if its process is alive: it gets an error and retries.
 */
export async function endDeadTransactions(client: MongoClient): Promise<number> {
  const { appName } = client.options;
  if (appName === undefined) return 0;
  const admin = client.db('admin');
  const dead = await admin
    .aggregate<{ lsid: { id: UUID } }>(
      [
        { $currentOp: { allUsers: false, idleSessions: true } },
        {
          $match: {
            type: 'idleSession',
            appName,
            'transaction.timeInactiveMicros': { $gt: inactiveMs * 1_000 },
          },
        },
        { $project: { lsid: 1 } },
      ],
      // An id must go back as the UUID that it is.
      { maxTimeMS: timeMaxMs, readConcern: { level: 'local' }, promoteBuffers: false },
    )
    .toArray();
  if (dead.length === 0) return 0;
  const killSessions = dead.map(({ lsid: { id } }) => ({ id }));
  await admin.command({ killSessions, maxTimeMS: timeMaxMs });
  return dead.length;
}
