import { type Metrics, readAtScrape } from '@silo/runtime/metrics.ts';
import type { PoolUse } from './pool-use.ts';

/**
 * Registers the metrics of a process's use of MongoDB. `isUp` returns the state that health
 * reports.
 */
export function measureMongo(metrics: Metrics, use: Readonly<PoolUse>, isUp: () => boolean): void {
  readAtScrape(
    'gauge',
    metrics,
    { name: 'silo_mongodb_up', help: 'Whether MongoDB answered the last look of health: 1, or 0.' },
    () => Number(isUp()),
  );
  readAtScrape(
    'gauge',
    metrics,
    {
      name: 'silo_mongodb_connections',
      help: 'Connections to MongoDB by state: open (all of them), or checked_out by a statement.',
      labels: ['state'],
    },
    () => [
      [{ state: 'open' }, use.open],
      [{ state: 'checked_out' }, use.checkedOut],
    ],
  );
  readAtScrape(
    'gauge',
    metrics,
    { name: 'silo_mongodb_waiting', help: 'Statements that wait for a connection to MongoDB.' },
    () => use.waiting,
  );
  readAtScrape(
    'counter',
    metrics,
    {
      name: 'silo_mongodb_checkouts_total',
      help: 'Statements that waited for a connection to MongoDB, by whether they got one.',
      labels: ['outcome'],
    },
    () => [
      [{ outcome: 'ok' }, use.checkouts],
      [{ outcome: 'failed' }, use.failedCheckouts],
    ],
  );
  readAtScrape(
    'counter',
    metrics,
    {
      name: 'silo_mongodb_checkout_wait_seconds_total',
      help: 'Time that statements waited for a connection to MongoDB.',
    },
    () => use.waitedMs / 1_000,
  );
}
