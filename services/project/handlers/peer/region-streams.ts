import { errors } from '@silo/errors/errors.ts';
import { createPlaces } from '@silo/runtime/places.ts';
import { callingRegion, type PeerCall } from './peer-records.ts';

/** Of one process; each holds three steps of events at most, of some 2 MiB. */
const ofRegionMax = 32;
const retryMs = 1_000;

/** The streams by which other regions read events from this process. */
export type RegionStreams = {
  /** Takes a place for a stream. Refuses with RATE_LIMITED where the region has as many as it may. */
  open(call: PeerCall): Disposable;
  /**
   * The same for a pull, which ends with its signal: an earlier one of the same migration ends by it,
   * with REQUEST_IN_PROGRESS, unless this one is refused.
   */
  openPull(migrationId: string, call: PeerCall): Disposable & { signal: AbortSignal };
};

/** The streams of one process. */
export function createRegionStreams(): RegionStreams {
  const places = createPlaces({ ofOwner: ofRegionMax });
  const pulls = new Map<string, AbortController>();

  const open = (call: PeerCall): Disposable => {
    try {
      return places.take(callingRegion(call));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw errors.rateLimited('region_streams', retryMs);
    }
  };

  return {
    open,
    openPull: (migrationId, call) => {
      // First: one that is refused ends none.
      const place = open(call);
      pulls.get(migrationId)?.abort(errors.requestInProgress());
      const own = new AbortController();
      pulls.set(migrationId, own);
      return {
        signal: AbortSignal.any([call.signal, own.signal]),
        [Symbol.dispose]: () => {
          if (pulls.get(migrationId) === own) pulls.delete(migrationId);
          place[Symbol.dispose]();
        },
      };
    },
  };
}
