import { noRejections, type Rejections, rejectionReasons } from '@silo/events/authentication.ts';
import type { Metrics } from '@silo/runtime/metrics.ts';
import { Counter, Gauge } from 'prom-client';
import { sources } from './core/position.ts';
import type { GuardStatus } from './guard-status.ts';

/** Registers the metrics of a guard: they are read at each scrape. */
export function measureGuard(metrics: Metrics, status: () => GuardStatus): void {
  const gauge = (name: string, help: string, read: (now: GuardStatus) => number) => {
    new Gauge({
      name: `silo_guard_${name}`,
      help,
      registers: [metrics],
      collect() {
        this.set(read(status()));
      },
    });
  };
  gauge('view', 'Whether the guard has a read lease: 1, or 0.', ({ hasReadLease }) =>
    hasReadLease ? 1 : 0,
  );
  gauge('facts', 'Facts that the guard remembers.', ({ facts }) => facts);
  gauge('fills', 'Questions to facts’ owners that are under way.', ({ fetches }) => fetches);
  gauge('permits', 'Permits that are held.', ({ permits }) => permits);
  const counted = { memory: 0, owners: 0, failed: 0 };
  new Counter({
    name: 'silo_guard_answers_total',
    help: 'Access checks, by where the answer came from: memory, the facts’ owners, or none (failed).',
    labelNames: ['by'],
    registers: [metrics],
    collect() {
      const { answers } = status();
      for (const by of ['memory', 'owners', 'failed'] as const) {
        this.inc({ by }, answers[by] - counted[by]);
        counted[by] = answers[by];
      }
    },
  });
  measureIgnored(metrics, 'guard', () => status().ignored);
  new Gauge({
    name: 'silo_guard_position',
    help: 'The last event of each source that the guard has applied.',
    labelNames: ['source'],
    registers: [metrics],
    collect() {
      const { positions } = status();
      for (const source of sources) this.set({ source }, positions[source]?.sequence ?? 0);
    },
  });
}

/** Makes readable how many NATS messages the guard or the registry of this process has ignored. */
export function measureIgnored(
  metrics: Metrics,
  by: 'guard' | 'registry',
  ignored: () => Rejections,
): void {
  const counted = noRejections();
  new Counter({
    name: `silo_${by}_ignored_messages_total`,
    help: 'NATS messages, and positions in them or in calls, that were ignored, by reason.',
    labelNames: ['reason'],
    registers: [metrics],
    collect() {
      const now = ignored();
      for (const reason of rejectionReasons) {
        this.inc({ reason }, now[reason] - counted[reason]);
        counted[reason] = now[reason];
      }
    },
  });
}
