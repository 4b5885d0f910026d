import type { MongoClient } from 'mongodb';

/** How a process uses its connections to MongoDB; some numbers are totals since its start. */
export type PoolUse = {
  open: number;
  checkedOut: number;
  waiting: number;
  waitedMs: number;
  checkouts: number;
  failedCheckouts: number;
};

/** The use of a process without connections. */
export function unusedPool(): PoolUse {
  return { open: 0, checkedOut: 0, waiting: 0, waitedMs: 0, checkouts: 0, failedCheckouts: 0 };
}

/** Counts the driver's reports about all pools of a client that is not connected yet. */
export function watchPools(client: MongoClient, use: PoolUse): void {
  client.on('connectionCreated', () => use.open++);
  client.on('connectionClosed', () => use.open--);
  client.on('connectionCheckOutStarted', () => use.waiting++);
  client.on('connectionCheckedOut', ({ durationMS }) => {
    use.waiting--;
    use.checkedOut++;
    use.checkouts++;
    use.waitedMs += durationMS;
  });
  client.on('connectionCheckOutFailed', () => {
    use.waiting--;
    use.failedCheckouts++;
  });
  client.on('connectionCheckedIn', () => use.checkedOut--);
}
