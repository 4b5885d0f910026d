import type { Ports } from '@silo/rpc/service.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { Metrics } from '@silo/runtime/metrics.ts';
import type { Progress } from '@silo/runtime/progress.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import { Gauge } from 'prom-client';

const lookIntervalMs = 1_000;

/** Registers the metric of how long each consumer has failed in a row. */
export function measureProgress(metrics: Metrics, consumers: readonly Progress[]): void {
  new Gauge({
    name: 'silo_consumer_failing_seconds',
    help: 'For how long the attempts of a consumer of event logs have failed in a row; else 0.',
    labelNames: ['consumer'],
    registers: [metrics],
    collect() {
      for (const { consumer, failingMs } of consumers) this.set({ consumer }, failingMs / 1_000);
    },
  });
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
