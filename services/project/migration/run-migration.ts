import { errors } from '@silo/errors/errors.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { equalJitterMs } from '@silo/runtime/random.ts';
import type { RegionClient } from '@silo/service/regions.ts';
import { whyDamaged } from '../rules/unmatched-events.ts';
import { CopyDiffers } from '../store/copied-events.ts';
import type { MigrationDocument } from '../store/documents.ts';
import { CopySuperseded } from '../store/migration-copy.ts';
import { DamagedEvent } from '../store/stored-event.ts';
import { fail, takeSlot } from './arrival.ts';
import type { Copy } from './copy-types.ts';
import { attemptCutover, resumeCutover } from './cutover.ts';
import { cancelHere, endMigration, removeCancelled } from './end-migration.ts';
import { callRegion, causeOf, RegionFailed, whyPutOff } from './region-failed.ts';
import { Cancelled, noteAtSource, reportProgress } from './report-progress.ts';
import { countUnmatched, removalRule, UnmatchedEvents } from './unmatched-events.ts';
import { decide, Superseded, type Work, type WorkDependencies } from './work.ts';

const { MIGRATION_STATE_CANCELLED: cancelled, MIGRATION_STATE_DONE: done } = MigrationState;
const { MIGRATION_STATE_COPYING: copying, MIGRATION_STATE_VERIFYING: verifying } = MigrationState;
const { MIGRATION_STATE_CUTOVER: cutover } = MigrationState;
const { ERROR_REASON_MIGRATION_STATE } = ErrorReason;
/** Reasons for which the destination cannot take the project. */
const ofDestination = [
  ErrorReason.ERROR_REASON_PLAN_REQUIRED,
  ErrorReason.ERROR_REASON_PROJECT_LIMIT,
  ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND,
];

/** A cutover begins when the lag of the copy is at most this. */
const lagMsMax = 500;
/** Limits of the attempts: each holds captures for a while, so pauses grow between them. */
const attemptsMax = 10;
const pauses = { baseMs: 1_000, capMs: 60_000 };
/** Timeout of the check whether the source answers. */
const probeMsMax = 5_000;
/** Pauses before a migration that could not continue has its next turn. */
const turnPauses = { baseMs: 1_000, capMs: 60_000 };

/** One turn of a migration, and the copy that it has opened. */
type Turn = Work & { copy?: Pick<Copy, 'hasGoneOn'> };

/** A permanent failure. */
class GivenUp extends Error {
  override readonly name = 'GivenUp';
}

/**
 * Does the remaining work of a migration to this region as the holder of the lease, until the
 * signal aborts. Another process continues where this one stops.
 */
export async function runMigration(
  dependencies: WorkDependencies,
  id: string,
  { fence, signal }: Pick<Work, 'fence' | 'signal'>,
): Promise<void> {
  const turn: Turn = { dependencies, fence, signal };
  const record = await dependencies.migrations.claim(id, fence, signal);
  if (record === undefined) return;
  try {
    await advance(turn, record);
  } catch (error) {
    if (signal.aborted || isSuperseded(error)) return;
    await endWith(turn, record, error);
  }
}

/**
 * Handles a failure: the migration is cancelled, fails, or is postponed, so that others have their
 * turn.
 */
async function endWith(turn: Turn, record: MigrationDocument, error: unknown): Promise<void> {
  let failure = error;
  try {
    if (await isEnded(turn, record, error)) return;
  } catch (later) {
    if (turn.signal.aborted || isSuperseded(later)) return;
    failure = later;
  }
  await putOff(turn, record, failure);
}

async function advance(work: Turn, record: MigrationDocument): Promise<void> {
  const { state } = record;
  if (state === cancelled) return await removeCancelled(work, record);
  if (state === done) return await endMigration(work, record);
  if (state === cutover) {
    const { record: present, holdMs } = await resumeCutover(work, record);
    if (present.state === done) return await endMigration(work, present, { holdMs });
    return await copyAndCutOver(work, present);
  }
  if (state !== copying && state !== verifying) return;
  await requireSource(work, record);
  await copyAndCutOver(work, await withTotal(work, record));
}

/** Rejects with RegionFailed immediately if the source does not answer. */
async function requireSource(
  { dependencies, signal }: Work,
  { _id: migrationId, sourceRegion }: MigrationDocument,
): Promise<void> {
  const options = { signal, deadlineMs: probeMsMax };
  const look = (client: RegionClient) => client.getOffer({ migrationId }, options);
  await callRegion(dependencies.regions, sourceRegion, look, signal);
}

/**
 * Updates the number of events at the source when the copy begins: the request may be old. If it is
 * not known, keeps the number in the record.
 */
async function withTotal(
  { dependencies, signal }: Work,
  record: MigrationDocument,
): Promise<MigrationDocument> {
  const { _id: migrationId, sourceRegion, progress } = record;
  if (progress.eventsCopied) return record;
  const options = { signal, deadlineMs: probeMsMax };
  const count = (client: RegionClient) =>
    client.describeProject({ migrationId, countsEvents: true }, options);
  try {
    const { events } = await callRegion(dependencies.regions, sourceRegion, count, signal);
    if (events === undefined) return record;
    return { ...record, progress: { ...progress, eventsTotal: events } };
  } catch (err) {
    signal.throwIfAborted();
    dependencies.log.info({ migrationId, err }, 'the events of a migration could not be counted');
    return record;
  }
}

async function copyAndCutOver(work: Turn, record: MigrationDocument): Promise<void> {
  const { dependencies, fence } = work;
  const { _id: id, projectId, sourceRegion, hasEvents: digestsOnly = false } = record;
  const stop = new AbortController();
  const signal = AbortSignal.any([work.signal, stop.signal]);
  const peer = dependencies.regions.get(sourceRegion);
  if (peer === undefined) {
    throw new RegionFailed(errors.dependencyUnavailable(`the region ${sourceRegion}`));
  }
  const { db, log, clock } = dependencies;
  const migration = { id, projectId, digestsOnly };
  const rule = await removalRule({ ...work, signal }, record);
  const options = { db, peer, migration, fence, log, clock, ...rule };
  const copy = await dependencies.openCopy(options, signal);
  work.copy = copy;
  copy.setRate(record.bytesPerSecondMax ?? 0);
  const within = { ...work, signal };
  const cuttingOver = cutOver(within, copy, record);
  const beside = [copy.run(signal), reportProgress(within, copy, record)];
  try {
    const { record: ended, holdMs } = await Promise.race([cuttingOver, ...beside]);
    await endMigration(work, ended, { holdMs });
  } finally {
    stop.abort(new DOMException('the copy is over', 'AbortError'));
    await Promise.allSettled([cuttingOver, ...beside]);
  }
}

/** Resolves when the project is in use here. */
async function cutOver(work: Work, copy: Copy, record: MigrationDocument) {
  const { dependencies, signal, fence } = work;
  let present = record;
  if (present.state === copying) {
    await copy.untilScanned(signal);
    present = await decide(work, present, (tx) =>
      dependencies.migrations.become(tx, record, verifying, { putOff: undefined }, { fence }),
    );
  }
  await copy.verifyAll(signal);
  // The first comparison may be as old as the copy.
  await copy.verifyAgain(signal);
  for (let tries = 1; ; tries++) {
    await prepareIndexes(work, present);
    present = await takeSlot(work, present);
    await copy.untilCaughtUp(lagMsMax, signal);
    const attempted = await attemptCutover(work, copy, present);
    if (attempted.record.state === done) return attempted;
    present = attempted.record;
    const { attempt, attemptsBefore = 0, failure = '' } = present;
    if (attempt - attemptsBefore >= attemptsMax) {
      throw new GivenUp(`${attemptsMax} attempts at the cutover were not finished. ${failure}`);
    }
    await dependencies.sleep(equalJitterMs(tries, pauses), signal);
  }
}

/**
 * Creates the indexes that the project's queries use, so that none is built while captures wait.
 */
async function prepareIndexes(
  { dependencies, signal }: Work,
  { _id: migrationId, sourceRegion }: MigrationDocument,
): Promise<void> {
  const describe = (client: RegionClient) =>
    client.describeProject({ migrationId, countsEvents: false }, { signal });
  const { indexPlaces } = await callRegion(dependencies.regions, sourceRegion, describe, signal);
  for (const place of indexPlaces) await dependencies.indexes.createPlace(place, signal);
}

/**
 * Ends a migration that was cancelled or has failed permanently; returns false if it should be
 * retried.
 */
async function isEnded(work: Work, record: MigrationDocument, error: unknown): Promise<boolean> {
  const why = error instanceof Cancelled ? error.failure : await whyCancelled(work, record, error);
  if (why !== undefined) {
    await removeCancelled(work, await cancelHere(work, record, why));
    return true;
  }
  const failure =
    error instanceof UnmatchedEvents
      ? await unmatchedFailure(work, record)
      : whyFailed(record, error);
  if (failure === undefined) return false;
  work.dependencies.log.warn({ migrationId: record._id, err: error }, 'a migration has failed');
  const failed = await fail(work, record, failure);
  // If the source has cancelled it meanwhile, `followOffers` notices.
  await noteAtSource(work, failed).catch(() => work.signal.throwIfAborted());
  return true;
}

/**
 * Postpones the migration, so that others have their turn; longer after each turn without progress.
 */
async function putOff(
  { dependencies, fence, signal, copy }: Turn,
  record: MigrationDocument,
  error: unknown,
): Promise<void> {
  const { _id: migrationId } = record;
  const { destinationRegion: here, sourceRegion: there } = record;
  const present = await dependencies.migrations.find(migrationId, signal);
  if (present === undefined) return;
  const tries = (copy?.hasGoneOn() ? 0 : (present.putOff?.tries ?? 0)) + 1;
  const pauseMs = equalJitterMs(tries, turnPauses);
  dependencies.log.warn({ migrationId, tries, pauseMs, err: error }, 'a migration is postponed');
  const why = whyPutOff(error, { here, there });
  await dependencies.migrations.putOff(record, { tries, pauseMs, why }, { fence }, signal);
}

/** Returns why the source has cancelled the migration, if that is the cause of its refusal. */
async function whyCancelled(
  { dependencies, signal }: Work,
  { _id: migrationId, sourceRegion }: MigrationDocument,
  error: unknown,
): Promise<string | undefined> {
  if (!isRefusal(causeOf(error), [ERROR_REASON_MIGRATION_STATE])) return undefined;
  const look = (client: RegionClient) => client.getOffer({ migrationId }, { signal });
  const { migration } = await callRegion(dependencies.regions, sourceRegion, look, signal);
  return migration?.state === cancelled ? migration.failure : undefined;
}

/**
 * Like `countUnmatched`, but also returns why the events could not be counted, if one is damaged.
 */
async function unmatchedFailure(
  work: Work,
  record: MigrationDocument,
): Promise<string | undefined> {
  try {
    return await countUnmatched(work, record);
  } catch (error) {
    if (error instanceof DamagedEvent) return whyFailed(record, error);
    throw error;
  }
}

/** Why the migration fails, for people; undefined if it should be retried. */
function whyFailed(
  { destinationRegion: here, sourceRegion: there }: MigrationDocument,
  error: unknown,
): string | undefined {
  if (error instanceof DamagedEvent) return whyDamaged(error.message, { here, there });
  if (error instanceof GivenUp || isRefusal(error, ofDestination)) return error.message;
  return error instanceof CopyDiffers
    ? 'The copy still differed from the source after repairs.'
    : undefined;
}

function isRefusal(error: unknown, reasons: readonly ErrorReason[]): error is SiloError {
  return error instanceof SiloError && reasons.includes(error.reason);
}

function isSuperseded(error: unknown): boolean {
  return error instanceof Superseded || error instanceof CopySuperseded;
}
