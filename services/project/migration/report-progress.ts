import type { NoteProgressRequest } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import {
  type MigrationProgress,
  MigrationState,
} from '@silo/protos/gen/silo/project/v1/migration.ts';
import { askRegion } from '@silo/service/regions.ts';
import { migrationMessage } from '../messages.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { Copy, CopyProgress } from './copy-types.ts';
import { Superseded, type Work, type WorkDependencies } from './work.ts';

const cancelled = MigrationState.MIGRATION_STATE_CANCELLED;
const intervalMs = 1_000;
/** The source is informed with every second report. */
const noteEvery = 2;

/** The migration was cancelled, here or at the source. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
  /** The reason, for people; '' if somebody requested it. */
  readonly failure: string;

  constructor(failure: string) {
    super('the migration was cancelled');
    this.failure = failure;
  }
}

/**
 * Writes the progress of a copy, here and at the source, until the signal aborts, and applies the
 * rate that staff has set. Rejects with Cancelled, Superseded.
 */
export async function reportProgress(
  work: Work,
  copy: Pick<Copy, 'progress' | 'setRate'>,
  record: MigrationDocument,
): Promise<never> {
  const { dependencies, fence, signal } = work;
  let counted = copy.progress();
  const { eventsTotal } = record.progress;
  let present: MigrationDocument | undefined = record;
  for (let turn = 0; ; turn++) {
    const progress = copy.progress();
    dependencies.metrics.copied(counted, progress);
    counted = progress;
    const shown = progressOf(progress, { ...present, eventsTotal });
    // The source has answered: postponed work continues.
    const goesOn = Number.isFinite(progress.lagMs);
    try {
      present = await dependencies.migrations.report({ ...record, fence }, shown, signal, {
        goesOn,
      });
    } catch (error) {
      signal.throwIfAborted();
      // Not a reason to interrupt what may be a cutover.
      dependencies.log.info(
        { migrationId: record._id, err: error },
        'the progress could not be written',
      );
    }
    if (present === undefined) throw new Superseded(record._id);
    if (present.state === cancelled) throw new Cancelled('');
    copy.setRate(present.bytesPerSecondMax ?? 0);
    if (turn % noteEvery === 0) await noteAtSource(work, present);
    await dependencies.sleep(intervalMs, signal);
  }
}

/**
 * Informs the source. Ignores failures of the source, but rejects with Cancelled if it has
 * cancelled the migration.
 */
export async function noteAtSource(
  {
    dependencies,
    signal,
  }: { dependencies: Pick<WorkDependencies, 'regions' | 'log'>; signal: AbortSignal },
  record: MigrationDocument,
): Promise<void> {
  const { _id: migrationId, sourceRegion } = record;
  try {
    const { migration } = await askRegion(dependencies.regions, sourceRegion, (client) =>
      client.noteProgress(noteOf(record), { signal }),
    );
    if (migration?.state === cancelled) throw new Cancelled(migration.failure);
  } catch (error) {
    if (error instanceof Cancelled || signal.aborted) throw error;
    dependencies.log.info(
      { migrationId, err: error },
      'the source of a migration could not be informed',
    );
  }
}

/** The part of a record that the source records: the reason of a postponement here is temporary. */
export function noteOf({ putOff: _, ...record }: MigrationDocument): NoteProgressRequest {
  return { migration: migrationMessage(record), revision: record.revision };
}

/** What is known about a copy besides its own counts. */
type Known = { eventsTotal?: number | undefined; bytesPerSecondMax?: number | undefined };

/** The progress of a copy for its record. An undefined `secondsLeft` replaces a known one. */
export function progressOf(
  { isScanned, lagMs, bytesPerSecond, ...counts }: CopyProgress,
  { eventsTotal, bytesPerSecondMax = 0 }: Known,
): Partial<MigrationProgress> {
  const { eventsCopied, bytesCopied, eventsPerSecond } = counts;
  // Events captured during the copy are copied, too.
  const total =
    isScanned && eventsTotal !== undefined ? Math.max(eventsTotal, eventsCopied) : eventsTotal;
  const pace = Math.min(bytesPerSecond, bytesPerSecondMax || Number.POSITIVE_INFINITY);
  const bytesLeft = isScanned ? 0 : bytesLeftOf({ eventsCopied, bytesCopied }, eventsTotal);
  const seconds = bytesLeft === 0 ? 0 : Math.ceil(bytesLeft / pace);
  return {
    ...counts,
    ...(total !== undefined && { eventsTotal: total }),
    eventsPerSecond: Math.round(eventsPerSecond),
    secondsLeft: Number.isFinite(seconds) ? seconds : undefined,
    ...(Number.isFinite(lagMs) && { lagMs: Math.round(lagMs) }),
  };
}

/** Estimated from the mean size of the copied events; NaN if not known. */
function bytesLeftOf(
  { eventsCopied, bytesCopied }: Pick<CopyProgress, 'eventsCopied' | 'bytesCopied'>,
  eventsTotal = 0,
): number {
  const left = eventsTotal - eventsCopied;
  return left < 0 || eventsCopied === 0 ? Number.NaN : left * (bytesCopied / eventsCopied);
}
