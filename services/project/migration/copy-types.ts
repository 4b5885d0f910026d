import type { MigrationPeerServiceClient } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import type { Connected } from '@silo/rpc/client.ts';
import type { Clock, Sleep } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { ServiceKit } from '@silo/service/service-definition.ts';
import type { MayRemove } from '../store/migration-copy.ts';
import type { Rate } from './rate.ts';
import type { SpareTime } from './spare-time.ts';

/** The calls of a copy to the region that has the events. */
export type CopySource = Pick<Connected<MigrationPeerServiceClient>, 'pullEvents' | 'readRange'>;

/** The progress of a copy. A new process continues the counts of the previous one. */
export type CopyProgress = {
  eventsCopied: number;
  /** Bytes of uncompressed documents. */
  bytesCopied: number;
  changesApplied: number;
  /** Ranges that were compared and equal. */
  rangesVerified: number;
  /**
   * Ranges that differed and were copied again. Does not count expected differences: those found
   * when events of an earlier stay were compared, or after the changes of the source were lost.
   */
  rangesRepaired: number;
  /** The lag of the copy; Infinity before the first response of the source. */
  lagMs: number;
  isScanned: boolean;
  /** Over the last seconds. */
  eventsPerSecond: number;
  /** `bytesCopied` per second, over the last seconds. */
  bytesPerSecond: number;
};

/** The work of one process on the copy of a migration. */
export type Copy = {
  /**
   * Pulls, applies and compares until the signal aborts. Continues after transient failures.
   * Rejects with permanent ones: a refusal of the source (RegionFailed), CopySuperseded,
   * CopyDiffers, and errors of `mayRemove`.
   */
  run(signal: AbortSignal): Promise<never>;
  /**
   * Resolves when every event has been pulled once. This and the next four reject when `run` does.
   */
  untilScanned(signal: AbortSignal): Promise<void>;
  /**
   * Resolves when the scan is complete and every range was equal at least once since it was copied.
   */
  verifyAll(signal: AbortSignal): Promise<void>;
  /**
   * Compares every range once more. Resolves when each range was equal after the first call, of
   * this process or an earlier one: this finds and repairs damage after a range's first comparison.
   */
  verifyAgain(signal: AbortSignal): Promise<void>;
  /**
   * Resolves when the scan and comparison are complete, and all writes before this attempt's fence
   * are applied.
   */
  untilFenced(attempt: number, signal: AbortSignal): Promise<void>;
  /** Resolves when the scan and comparison are complete, and the lag is at most `lagMs`. */
  untilCaughtUp(lagMs: number, signal: AbortSignal): Promise<void>;
  progress(): CopyProgress;
  /** Whether this process has made lasting progress: it stored ranges, or found some equal. */
  hasGoneOn(): boolean;
  /**
   * Limits the rate of copied documents in bytes per second; 0: no limit. Changes are not limited.
   */
  setRate(bytesPerSecond: number): void;
};

/** The dependencies and parameters of a copy. */
export type CopyOptions = {
  /** The project service's own database. */
  db: ServiceKit['db'];
  peer: CopySource;
  migration: {
    id: string;
    projectId: string;
    /** The destination has most events already: only ranges that differ are copied. */
    digestsOnly: boolean;
  };
  /** Increases with every leaseholder: a process with a smaller fence cannot write any more. */
  fence: number;
  log: Log;
  clock: Clock;
  /**
   * Called before the copy removes or replaces events of a range that was never equal. Rejects if
   * the events must be kept.
   */
  mayRemove?: MayRemove;
  /** Only for tests. */
  spare?: Pick<SpareTime, 'noteUse' | 'pauseAfter'>;
  /** Only for tests. */
  rate?: Pick<Rate, 'set' | 'spend'>;
  /** The pauses after failures; only for tests. */
  sleep?: Sleep;
};

/** Claims the copy with this fence, and reads its progress. */
export type OpenCopy = (options: CopyOptions, signal: AbortSignal) => Promise<Copy>;
