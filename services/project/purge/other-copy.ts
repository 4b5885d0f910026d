import type { DescribeProjectResponse } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { retry } from '@silo/runtime/retry.ts';
import { askRegion, type RegionClient, type Regions } from '@silo/service/regions.ts';
import { isPassing } from '../migration/interruptions.ts';
import { RegionFailed } from '../migration/region-failed.ts';
import { digestFrom, rangeMessage } from '../peer-messages.ts';
import type { EventDigest } from '../rules/events/event-digest.ts';
import type { EventRange } from '../rules/events/event-range.ts';
import { checkFilter } from '../rules/events/filter.ts';
import type { Removal } from '../rules/purge-source.ts';

/** Timeout of one call. */
const deadlineMs = 60_000;
const pauses = { baseMs: 200, capMs: 10_000 };

/** Identifies the copy; `patienceMs` is the time for which unanswered calls are repeated. */
type Of = { regions: Regions; region: string; migrationId: string; patienceMs: number };

/** The copy of a project in another region. Rejects with RegionFailed. */
export type OtherCopy = {
  /** The digests of ranges, without the values of chosen properties. */
  digests(ranges: readonly EventRange[]): Promise<EventDigest[]>;
  /** Whether the project was deleted there for good. */
  describe(): Promise<Pick<DescribeProjectResponse, 'purged'>>;
  /**
   * Returns those of the events that neither retention nor a deletion after the given generation
   * has removed there. Rejects with the errors of `mayHaveRemoved`, too.
   */
  notRemoved<Event>(
    events: readonly Event[],
    generation: number,
    mayHaveRemoved: (removal: Removal, event: Event) => boolean,
  ): Promise<Event[]>;
  /** Informs that region that this region's copy is removed. */
  notePurge(): Promise<void>;
};

export function otherCopy(
  { regions, region, migrationId, patienceMs }: Of,
  signal: AbortSignal,
): OtherCopy {
  const ask = async <T>(question: (client: RegionClient) => Promise<T>): Promise<T> => {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
    const options = { ...pauses, attemptsMax: Number.POSITIVE_INFINITY, signal: patience };
    try {
      return await retry(() => askRegion(regions, region, question), {
        ...options,
        isRetryable: isPassing,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw new RegionFailed(error);
    }
  };
  const options = { signal, deadlineMs };
  return {
    digests: (ranges) =>
      ask(async (client) => {
        const request = { migrationId, ranges: ranges.map(rangeMessage) };
        const digests: EventDigest[] = [];
        const hashed = client.hashRanges({ ...request, withoutChosenValues: true }, options);
        for await (const { digest } of hashed) digests.push(digestFrom(digest));
        return digests;
      }),

    describe: () =>
      ask((client) => client.describeProject({ migrationId, countsEvents: false }, options)),

    notRemoved: async (events, afterGeneration, mayHaveRemoved) => {
      // An error of `mayHaveRemoved` is thrown later: it is not a failure of the other region.
      const found = await ask(async (client) => {
        let left = [...events];
        const later = client.readDeletions({ migrationId, afterGeneration }, options);
        for await (const { generation, filter, expiredBefore } of later) {
          const removal = expiredBefore
            ? { expiredBefore }
            : { generation, filter: checkFilter(filter) };
          try {
            left = left.filter((event) => !mayHaveRemoved(removal, event));
          } catch (error) {
            return () => {
              throw error;
            };
          }
          if (left.length === 0) break;
        }
        return () => left;
      });
      return found();
    },

    notePurge: async () => {
      await ask((client) => client.notePurge({ migrationId }, options));
    },
  };
}
