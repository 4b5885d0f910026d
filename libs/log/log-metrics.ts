import { collectionOptions } from '@silo/mongo/read.ts';
import { type Metrics, readAtScrape, sharedReading } from '@silo/runtime/metrics.ts';
import type { Db } from 'mongodb';

/** Time limit, because a scrape does not wait longer. */
const maxTimeMS = 1_000;
/** Maximum count of the outbox; a higher number has no further meaning. */
const countMax = 10_000;

type LogState = {
  /** The last sequence of the log. */
  sequence: number;
  outbox: { groups: number; oldestMs: number };
};

/**
 * Registers the metrics of a service's event log, with one statement for each scrape. Each replica
 * reports the same values.
 */
export function measureEventLog(metrics: Metrics, db: Db): void {
  const read = sharedReading(() => readState(db));
  const gauge = (name: string, help: string, pick: (state: LogState) => number) =>
    readAtScrape('gauge', metrics, { name, help }, async () => {
      const state = await read();
      return state && pick(state);
    });
  gauge('silo_log_sequence', 'The last sequence of the service’s event log.', (state) => {
    return state.sequence;
  });
  gauge(
    'silo_outbox_groups',
    'Committed changes whose events have no sequence yet; at most 10,000 are counted.',
    ({ outbox }) => outbox.groups,
  );
  gauge(
    'silo_outbox_age_seconds',
    'Time since the oldest change whose events have no sequence yet; 0 if there is none.',
    ({ outbox }) => outbox.oldestMs / 1_000,
  );
}

async function readState(db: Db): Promise<LogState | undefined> {
  const [found] = await db
    .collection<{ _id: string }>('log', collectionOptions)
    .aggregate<{ sequence: number; outbox: LogState['outbox'][] }>(
      [
        { $match: { _id: 'log' } },
        {
          $lookup: {
            from: 'outbox',
            pipeline: [
              { $limit: countMax },
              {
                $group: {
                  _id: null,
                  groups: { $sum: 1 },
                  oldestMs: { $max: { $subtract: ['$$NOW', '$time'] } },
                },
              },
            ],
            as: 'outbox',
          },
        },
      ],
      { maxTimeMS },
    )
    .toArray();
  if (found === undefined) return undefined;
  const [outbox = { groups: 0, oldestMs: 0 }] = found.outbox;
  // The clock of the process that decided may be ahead of the database's.
  return {
    sequence: found.sequence,
    outbox: { ...outbox, oldestMs: Math.max(0, outbox.oldestMs) },
  };
}
