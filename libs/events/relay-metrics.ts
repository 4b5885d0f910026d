import { collectionOptions } from '@silo/mongo/read.ts';
import { type Metrics, readAtScrape, sharedReading } from '@silo/runtime/metrics.ts';
import type { Db } from 'mongodb';

/** Time limit, because a scrape does not wait longer. */
const maxTimeMS = 1_000;

type Lag = { events: number; ageMs: number };

/**
 * Registers the metrics for the lag of a service's relay behind its log. Each replica reports the
 * same values, even if it does not run the relay. The relay stores its position about once a
 * second, and every 5 s without events, so a smaller lag means nothing.
 */
export function measureRelay(metrics: Metrics, db: Db): void {
  const read = sharedReading(() => readLag(db));
  const gauge = (name: string, help: string, pick: (lag: Lag) => number) =>
    readAtScrape('gauge', metrics, { name, help }, async () => {
      const lag = await read();
      return lag && pick(lag);
    });
  gauge(
    'silo_relay_lag_events',
    'Events of the service’s log that the relay has not stored as published.',
    ({ events }) => events,
  );
  gauge(
    'silo_relay_lag_seconds',
    'Age of the oldest event that the relay has not stored as published; 0 if there is none.',
    ({ ageMs }) => ageMs / 1_000,
  );
}

async function readLag(db: Db): Promise<Lag | undefined> {
  const published = { $ifNull: [{ $first: '$relay.sequence' }, 0] };
  const [lag] = await db
    .collection<{ _id: string }>('log', collectionOptions)
    .aggregate<Lag>(
      [
        { $match: { _id: 'log' } },
        { $lookup: { from: 'relays', pipeline: [{ $match: { _id: 'nats' } }], as: 'relay' } },
        { $set: { published } },
        {
          $lookup: {
            from: 'events',
            let: { published: '$published' },
            pipeline: [
              { $match: { $expr: { $gt: ['$_id', '$$published'] } } },
              { $sort: { _id: 1 } },
              { $limit: 1 },
              { $project: { time: 1 } },
            ],
            as: 'next',
          },
        },
        {
          $project: {
            _id: 0,
            // After a backup was restored, the log may be behind what was published.
            events: { $max: [0, { $subtract: ['$sequence', '$published'] }] },
            ageMs: {
              $max: [0, { $subtract: ['$$NOW', { $ifNull: [{ $first: '$next.time' }, '$$NOW'] }] }],
            },
          },
        },
      ],
      { maxTimeMS },
    )
    .toArray();
  return lag;
}
