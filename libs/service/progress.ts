import type { Ports } from '@silo/rpc/service.ts';
import type { Log } from '@silo/runtime/log.ts';
import { type Metrics, readAtScrape } from '@silo/runtime/metrics.ts';
import type { Progress } from '@silo/runtime/progress.ts';
import { runForever } from '@silo/runtime/run-forever.ts';

const lookIntervalMs = 1_000;

/** Registers the metrics of each consumer: its position, and how long it has failed in a row. */
export function measureProgress(metrics: Metrics, consumers: readonly Progress[]): void {
  readAtScrape(
    'gauge',
    metrics,
    {
      name: 'silo_consumer_failing_seconds',
      help: 'For how long the attempts of a consumer of event logs have failed in a row; else 0.',
      labels: ['consumer'],
    },
    () => consumers.map(({ consumer, failingMs }) => [{ consumer }, failingMs / 1_000]),
  );
  readAtScrape(
    'gauge',
    metrics,
    {
      name: 'silo_consumer_position',
      help: 'The last event of each source that a consumer of this process has handled, where it leads.',
      labels: ['consumer', 'source'],
    },
    () =>
      consumers.flatMap(({ consumer, positions }) =>
        Array.from(positions, ([source, sequence]) => [{ consumer, source }, sequence] as const),
      ),
  );
}

/**
 * Reports to health, as `silo.<consumer>`, whether each consumer makes progress; calls `look`
 * first.
 */
export async function followProgress(
  ports: Pick<Ports, 'setHealth'>,
  consumers: readonly Progress[],
  { log, signal }: { log: Log; signal: AbortSignal },
  look: () => void,
): Promise<void> {
  const options = { name: 'progress', intervalMs: lookIntervalMs, signal, log };
  await runForever(options, async () => {
    look();
    for (const { consumer, isStalled } of consumers) {
      ports.setHealth(`silo.${consumer}`, !isStalled);
    }
  });
}
