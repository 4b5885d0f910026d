import type { Metrics } from '@silo/runtime/metrics.ts';
import { Gauge } from 'prom-client';
import type { Sagas } from './sagas.ts';

/** Registers the metrics of a saga runner. */
export function measureSagas(metrics: Metrics, sagas: Pick<Sagas, 'unknown'>): void {
  new Gauge({
    name: 'silo_sagas_unknown',
    help: 'Open sagas that nobody runs and that this release does not know: left to a newer one.',
    registers: [metrics],
    collect() {
      this.set(sagas.unknown);
    },
  });
}
