import { bareName } from '@silo/protos/enum-name.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { type Metrics, readAtScrape, sharedReading } from '@silo/runtime/metrics.ts';
import { Histogram } from 'prom-client';
import type { OpenMigrations } from './store/migration-summary.ts';

/** The counts of a process of the destination for its copies. */
type CopyCounts = {
  eventsCopied: number;
  bytesCopied: number;
  changesApplied: number;
  rangesVerified: number;
  rangesRepaired: number;
};

/** How an attempt at a cutover ended, at the source. */
type HoldOutcome = 'committed' | 'released';

export type MigrationMetrics = {
  /** A copy has continued from earlier counts. */
  copied(before: CopyCounts, after: CopyCounts): void;
  /** An attempt that held a project has ended. */
  held(outcome: HoldOutcome, seconds: number): void;
};

/**
 * Registers the metrics of migrations between regions; those of the records are read at each
 * scrape.
 */
export function measureMigrations(
  metrics: Metrics,
  readOpen: () => Promise<OpenMigrations[]>,
): MigrationMetrics {
  measureOpen(metrics, sharedReading(readOpen));
  const counts: CopyCounts = {
    ...{ eventsCopied: 0, bytesCopied: 0, changesApplied: 0 },
    ...{ rangesVerified: 0, rangesRepaired: 0 },
  };
  const counter = (name: string, help: string, read: () => number) =>
    readAtScrape('counter', metrics, { name, help }, read);
  counter(
    'silo_migration_events_copied_total',
    'Events that this process has copied from another region.',
    () => counts.eventsCopied,
  );
  counter(
    'silo_migration_bytes_copied_total',
    'Bytes of the documents of those events.',
    () => counts.bytesCopied,
  );
  counter(
    'silo_migration_changes_applied_total',
    'Changes of events that this process has applied to copies.',
    () => counts.changesApplied,
  );
  readAtScrape(
    'counter',
    metrics,
    {
      name: 'silo_migration_ranges_total',
      help: 'Ranges of copied events that were compared: equal, or repaired because they differed.',
      labels: ['outcome'],
    },
    () => [
      [{ outcome: 'equal' }, counts.rangesVerified],
      [{ outcome: 'repaired' }, counts.rangesRepaired],
    ],
  );
  const holds = new Histogram({
    name: 'silo_migration_hold_seconds',
    help: 'How long an attempt at the cutover held captures, by how it ended.',
    labelNames: ['outcome'],
    buckets: [0.25, 0.5, 1, 2, 4, 8],
    registers: [metrics],
  });
  // Prometheus sees no increase in a series that begins at 1.
  for (const outcome of ['committed', 'released'] satisfies HoldOutcome[]) holds.zero({ outcome });
  return {
    copied: (before, after) => {
      for (const name of Object.keys(counts) as (keyof CopyCounts)[]) {
        // After a return to a checkpoint, counting starts from there.
        counts[name] += Math.max(0, after[name] - before[name]);
      }
    },
    held: (outcome, seconds) => holds.observe({ outcome }, seconds),
  };
}

/** Metrics from the records, which are the same on every replica. */
function measureOpen(metrics: Metrics, read: () => Promise<OpenMigrations[] | undefined>): void {
  readAtScrape(
    'gauge',
    metrics,
    {
      name: 'silo_migrations_open',
      help: 'Open migrations by side and state; at most 1,000 are counted.',
      labels: ['side', 'state'],
    },
    async () =>
      (await read())?.map(
        ({ side, state, count }) =>
          [{ side, state: bareName(MigrationState, state) }, count] as const,
      ),
  );
  readAtScrape(
    'gauge',
    metrics,
    {
      name: 'silo_migration_lag_seconds',
      help: 'Largest lag of a copy behind its source.',
    },
    async () => {
      const open = await read();
      if (open === undefined) return undefined;
      const copies = open.filter(({ side }) => side === 'destination');
      return Math.max(0, ...copies.map(({ lagMs }) => lagMs)) / 1_000;
    },
  );
}
