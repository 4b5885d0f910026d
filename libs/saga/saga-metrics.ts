import { type Metrics, readAtScrape, sharedReading } from '@silo/runtime/metrics.ts';
import type { Db } from 'mongodb';
import { openSagas } from './saga-records.ts';
import type { Sagas } from './sagas.ts';

/** Registers the metrics of a service's sagas, and of the sagas that this process runs. */
export function measureSagas(metrics: Metrics, db: Db, sagas: Pick<Sagas, 'unknown'>): void {
  const read = sharedReading(() => openSagas(db));
  const gauge = (name: string, help: string, pick: (step: OpenStep) => number) =>
    readAtScrape('gauge', metrics, { name, help, labels: ['kind', 'state'] }, async () =>
      (await read())?.map((step) => [{ kind: step.kind, state: step.state }, pick(step)]),
    );
  gauge(
    'silo_sagas_open',
    'Open sagas of the service by kind and state; at most 1,000 are counted.',
    ({ count }) => count,
  );
  gauge(
    'silo_saga_age_seconds',
    'How long the oldest open saga of the service has been at its state, by kind and state.',
    ({ oldestMs }) => oldestMs / 1_000,
  );
  readAtScrape(
    'gauge',
    metrics,
    {
      name: 'silo_sagas_unknown',
      help: 'Open sagas that nobody runs and that this release does not know: left to a newer one.',
    },
    () => sagas.unknown,
  );
}

type OpenStep = Awaited<ReturnType<typeof openSagas>>[number];
