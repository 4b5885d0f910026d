import { errors } from '@silo/errors/errors.ts';
import { createPlaces } from '@silo/runtime/places.ts';
import { callingRegion, type PeerCall } from './peer-records.ts';

/**
 * Limit of one region per process; each stream holds at most three steps of events of some 2 MiB,
 * and while it reads, two replies of MongoDB of at most 16 MiB.
 */
const ofRegionMax = 32;
const retryMs = 1_000;

/** Limits the streams by which other regions read events from this process. */
export type RegionStreams = {
  /**
   * Takes a place for a stream. Refuses with RATE_LIMITED if the region has its maximum of streams.
   */
  open(call: PeerCall): Disposable;
  /**
   * Takes a place for a pull, which must end when its signal aborts. Unless it is refused, it ends
   * an earlier pull of the same migration with REQUEST_IN_PROGRESS.
   */
  openPull(migrationId: string, call: PeerCall): Disposable & { signal: AbortSignal };
};

/** Creates the limits of one process. */
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
      // Take the place first: a refused pull must not end an earlier one.
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
