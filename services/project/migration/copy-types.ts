import type { MigrationPeerServiceClient } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import type { Connected } from '@silo/rpc/client.ts';
import type { Clock, Sleep } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { ServiceKit } from '@silo/service/service-definition.ts';
import type { MayRemove } from '../store/migration-copy.ts';
import type { Rate } from './rate.ts';
import type { SpareTime } from './spare-time.ts';

/** What a copy asks of the region that has the events. */
export type CopySource = Pick<Connected<MigrationPeerServiceClient>, 'pullEvents' | 'readRange'>;

/** How far a copy is. Counts go on where a former process ended. */
export type CopyProgress = {
  eventsCopied: number;
  /** Of documents, not compressed. */
  bytesCopied: number;
  changesApplied: number;
  /** Ranges that were compared, and were equal. */
  rangesVerified: number;
  /**
   * Ranges that differed, and were copied again, but for those of which that was expected: where events
   * of an earlier stay were compared, or all again because the changes of the source were lost.
   */
  rangesRepaired: number;
  /** By how much the copy is behind; Infinity before the first answer of the source. */
  lagMs: number;
  isScanned: boolean;
  /** Over the last seconds. */
  eventsPerSecond: number;
  /** The same of `bytesCopied`. */
  bytesPerSecond: number;
};

/** One process's work on the copy of a migration. */
export type Copy = {
  /**
   * Pulls, applies and compares until the signal. Goes on after each interruption; rejects with what
   * no repetition mends: a refusal of the source (RegionFailed), CopySuperseded, CopyDiffers, and what
   * `mayRemove` rejects with.
   */
  run(signal: AbortSignal): Promise<never>;
  /** Resolves when every event has been pulled once. These five reject when `run` does. */
  untilScanned(signal: AbortSignal): Promise<void>;
  /** Resolves when all is scanned and every range was equal at least once since it was copied. */
  verifyAll(signal: AbortSignal): Promise<void>;
  /**
   * Compares every range once more, and resolves when each was equal since the first call, of this
   * process or one before it: what was damaged after its first comparison is found and copied again.
   */
  verifyAgain(signal: AbortSignal): Promise<void>;
  /** Resolves when all is scanned, compared, and applied that was written before this attempt's fence. */
  untilFenced(attempt: number, signal: AbortSignal): Promise<void>;
  /** Resolves when all is scanned and compared, and the copy is behind by at most this. */
  untilCaughtUp(lagMs: number, signal: AbortSignal): Promise<void>;
  progress(): CopyProgress;
  /** Whether this process has stored ranges, or found some equal: what no repetition does once more. */
  hasGoneOn(): boolean;
  /** Limits what is copied, in bytes of documents a second; 0: no limit. Changes are not limited. */
  setRate(bytesPerSecond: number): void;
};

/** What a copy is made of. */
export type CopyOptions = {
  /** Project's own. */
  db: ServiceKit['db'];
  peer: CopySource;
  migration: {
    id: string;
    projectId: string;
    /** The destination has most events already: only ranges that differ are copied. */
    digestsOnly: boolean;
  };
  /** Grows with every leaseholder: one with a smaller number writes nothing any more. */
  fence: number;
  log: Log;
  clock: Clock;
  /**
   * Called before the copy removes or replaces events of a range that was not equal yet. Rejects if they
   * must be kept.
   */
  mayRemove?: MayRemove;
  /** For tests. */
  spare?: Pick<SpareTime, 'noteUse' | 'pauseAfter'>;
  /** For tests. */
  rate?: Pick<Rate, 'set' | 'spend'>;
  /** The pauses after failures; for tests. */
  sleep?: Sleep;
};

/** Claims the copy for this fence, and reads how far it is. */
export type OpenCopy = (options: CopyOptions, signal: AbortSignal) => Promise<Copy>;
