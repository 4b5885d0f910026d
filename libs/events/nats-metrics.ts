import { type Metrics, readAtScrape } from '@silo/runtime/metrics.ts';
import type { NatsLink } from './connect.ts';

/** Registers the metrics of a process's connection to NATS. */
export function measureNats(metrics: Metrics, nats: Pick<NatsLink, 'connected' | 'losses'>): void {
  readAtScrape(
    'gauge',
    metrics,
    { name: 'silo_nats_connected', help: 'Whether the process is connected to NATS: 1, or 0.' },
    () => Number(nats.connected.value),
  );
  readAtScrape(
    'counter',
    metrics,
    { name: 'silo_nats_losses_total', help: 'How often the connection to NATS was lost.' },
    () => nats.losses,
  );
}
