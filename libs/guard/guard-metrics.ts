import { type Rejections, rejectionReasons } from '@silo/events/authentication.ts';
import { type Metrics, readAtScrape } from '@silo/runtime/metrics.ts';
import { sources } from './core/position.ts';
import type { GuardStatus } from './guard-status.ts';

/** Registers the metrics of a guard, which are read at each scrape. */
export function measureGuard(metrics: Metrics, status: () => GuardStatus): void {
  type Read = (now: GuardStatus) => number;
  const gauge = (name: string, help: string, read: Read) =>
    readAtScrape('gauge', metrics, { name: `silo_guard_${name}`, help }, () => read(status()));
  const counter = (name: string, help: string, read: Read) =>
    readAtScrape('counter', metrics, { name: `silo_guard_${name}`, help }, () => read(status()));
  gauge('read_lease', 'Whether the guard has a read lease: 1, or 0.', ({ hasReadLease }) =>
    Number(hasReadLease),
  );
  gauge('facts', 'Facts that the guard remembers.', ({ facts }) => facts);
  gauge('fetching', 'Facts that are being fetched from their owners.', ({ fetches }) => fetches);
  gauge('permits', 'Permits that are held.', ({ permits }) => permits);
  readAtScrape(
    'counter',
    metrics,
    {
      name: 'silo_guard_answers_total',
      help: 'Access checks, by where the answer came from: memory, the facts’ owners, or none (failed).',
      labels: ['by'],
    },
    () => Object.entries(status().answers).map(([by, count]) => [{ by }, count]),
  );
  counter('fetches_total', 'Fetches of facts from owners.', ({ fetched }) => fetched.started);
  counter('fetch_failures_total', 'Fetches that failed.', ({ fetched }) => fetched.failed);
  measureIgnored(metrics, 'guard', () => status().ignored);
  readAtScrape(
    'gauge',
    metrics,
    {
      name: 'silo_guard_position',
      help: 'The last event of each source that the guard has applied.',
      labels: ['source'],
    },
    () => {
      const { positions } = status();
      return sources.map((source) => [{ source }, positions[source]?.sequence ?? 0]);
    },
  );
}

/** Exports how many NATS messages the guard or the registry of this process has ignored. */
export function measureIgnored(
  metrics: Metrics,
  by: 'guard' | 'registry',
  ignored: () => Rejections,
): void {
  readAtScrape(
    'counter',
    metrics,
    {
      name: `silo_${by}_ignored_messages_total`,
      help: 'NATS messages, and positions in them or in calls, that were ignored, by reason.',
      labels: ['reason'],
    },
    () => {
      const now = ignored();
      return rejectionReasons.map((reason) => [{ reason }, now[reason]]);
    },
  );
}
