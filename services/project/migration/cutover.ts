import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import {
  type MigrationProgress,
  MigrationState,
} from '@silo/protos/gen/silo/project/v1/migration.ts';
import { equalJitterMs } from '@silo/runtime/random.ts';
import { askRegion, type RegionClient } from '@silo/service/regions.ts';
import { attemptMsMax } from '../rules/cutover-times.ts';
import { requireSound } from '../rules/foreign-project.ts';
import type { MigrationDocument } from '../store/documents.ts';
import { decodeProject } from '../store/migrating-projects.ts';
import { activate, arrive, stayAway } from './arrival.ts';
import type { Copy } from './copy-types.ts';
import { progressOf } from './report-progress.ts';
import { decide, type Work } from './work.ts';

const { MIGRATION_STATE_CUTOVER: cutover } = MigrationState;
const { ERROR_REASON_MIGRATION_STATE, ERROR_REASON_MIGRATION_NOT_FOUND, ERROR_REASON_NOT_READY } =
  ErrorReason;

/** Timeout of one call, which is repeated until its outcome is known. */
const callMsMax = 2_000;
const pauses = { baseMs: 50, capMs: 1_000 };
/**
 * Maximum number of calls that end an attempt. If all fail, the source ends it at its time limit.
 */
const abortsMax = 3;

/** The result of an attempt: the project was cut over, or stays in use at the source. */
type Attempted = {
  record: MigrationDocument;
  /** How long captures were held, if the attempt was committed. */
  holdMs?: number | undefined;
};

/**
 * Makes one attempt at the cutover. Returns the record, which is DONE or VERIFYING again. If this
 * process dies, another one calls `resumeCutover`.
 */
export async function attemptCutover(
  work: Work,
  copy: Pick<Copy, 'untilFenced' | 'progress'>,
  before: MigrationDocument,
): Promise<Attempted> {
  const { dependencies, signal } = work;
  const attempt = before.attempt + 1;
  const record = await decide(work, before, (tx) =>
    dependencies.migrations.become(
      tx,
      before,
      cutover,
      { attempt, putOff: undefined },
      { fence: work.fence },
    ),
  );
  const within = AbortSignal.any([signal, AbortSignal.timeout(attemptMsMax)]);
  let arrived: MigrationDocument;
  try {
    const { _id: migrationId, projectId, actor } = record;
    const options = { signal: within, deadlineMs: attemptMsMax };
    const begun = await askRegion(dependencies.regions, record.sourceRegion, (client) =>
      client.beginCutover({ migrationId, attempt }, options),
    );
    const project = requireSound(decodeProject(begun.project));
    const { propertyIndexes = [] } = project;
    const token = { token: begun.projectToken, revision: begun.tokenRevision };
    const adopted = { projectId, actor, correlationId: migrationId, ...token };
    await Promise.all([
      copy.untilFenced(attempt, within),
      dependencies.secrets.adoptProjectToken(adopted, { signal: within }),
      // The indexes exist already, except one that was chosen and built meanwhile.
      ...propertyIndexes.map(({ place }) => dependencies.indexes.createPlace(place, within)),
    ]);
    within.throwIfAborted();
    arrived = await arrive(work, record, project);
  } catch (error) {
    signal.throwIfAborted();
    return { record: await giveUp(work, record, error) };
  }
  return await finish(work, arrived, progressOf(copy.progress(), arrived.progress), within);
}

/** Resumes an attempt of a process that has died. */
export async function resumeCutover(work: Work, record: MigrationDocument): Promise<Attempted> {
  if (record.arrivedAttempt === record.attempt) {
    return await finish(work, record, {}, AbortSignal.timeout(attemptMsMax));
  }
  return { record: await giveUp(work, record, undefined) };
}

/** Asks the source to commit until the outcome is known, and then acts on it. */
async function finish(
  work: Work,
  record: MigrationDocument,
  progress: Partial<MigrationProgress>,
  within: AbortSignal,
): Promise<Attempted> {
  const { _id: migrationId, attempt } = record;
  if (!(await isKnownToGuards(work, within))) {
    // Ending it only here is not enough: an earlier process may still ask the source to commit.
    await untilKnown(work, record, Number.POSITIVE_INFINITY, (client, options) =>
      client.abortCutover({ migrationId, attempt }, options),
    );
  }
  const committed = await untilKnown(work, record, Number.POSITIVE_INFINITY, (client, options) =>
    client.commitCutover({ migrationId, attempt }, options),
  );
  if (committed === undefined) {
    const failure = 'The source ended the cutover, because it took too long.';
    return { record: await stayAway(work, record, { failure }) };
  }
  const { clock } = work.dependencies;
  const committedMs = clock.monotonicMs();
  const { holdMs = 0 } = committed;
  const activated = await activate(work, record, { ...progress, holdMs });
  return { record: activated, holdMs: Math.round(holdMs + clock.monotonicMs() - committedMs) };
}

/**
 * Whether every guard of this region knows that the project has arrived. A guard that did not would
 * permanently refuse captures that the source forwards after the commit.
 */
async function isKnownToGuards(
  { dependencies, signal }: Work,
  within: AbortSignal,
): Promise<boolean> {
  try {
    await dependencies.propagate([], AbortSignal.any([signal, within]));
    return true;
  } catch (err) {
    signal.throwIfAborted();
    dependencies.log.warn({ err }, 'the arrival of a project has not reached every guard');
    return false;
  }
}

/** Ends the attempt, at the source first. */
async function giveUp(
  work: Work,
  record: MigrationDocument,
  cause: unknown,
): Promise<MigrationDocument> {
  const { dependencies } = work;
  const { _id: migrationId, attempt, attemptsBefore = 0 } = record;
  dependencies.log.info(
    { migrationId, attempt, err: cause },
    'an attempt at the cutover is being ended',
  );
  await untilKnown(work, record, abortsMax, (client, options) =>
    client.abortCutover({ migrationId, attempt }, options),
  ).catch(() => work.signal.throwIfAborted());
  // An attempt for which the source is not ready is not a failure: it is made again.
  const isWaiting = cause instanceof SiloError && cause.reason === ERROR_REASON_NOT_READY;
  const values = {
    failure: failureOf(cause),
    ...(isWaiting && { attemptsBefore: attemptsBefore + 1 }),
  };
  return await stayAway(work, record, values);
}

/**
 * Repeats a call until its outcome is known. Returns undefined if the source has refused, because
 * the attempt has ended.
 */
async function untilKnown<T>(
  { dependencies, signal }: Work,
  { sourceRegion }: MigrationDocument,
  triesMax: number,
  call: (client: RegionClient, options: { signal: AbortSignal; deadlineMs: number }) => Promise<T>,
): Promise<T | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      const options = { signal, deadlineMs: callMsMax };
      return await askRegion(dependencies.regions, sourceRegion, (client) => call(client, options));
    } catch (error) {
      signal.throwIfAborted();
      if (isOver(error)) return undefined;
      if (tries >= triesMax) throw error;
    }
    await dependencies.sleep(equalJitterMs(tries, pauses), signal);
  }
}

function isOver(error: unknown): boolean {
  if (!(error instanceof SiloError)) return false;
  const { reason } = error;
  return reason === ERROR_REASON_MIGRATION_STATE || reason === ERROR_REASON_MIGRATION_NOT_FOUND;
}

/** Why an attempt failed, for people. */
function failureOf(cause: unknown): string {
  if (cause instanceof SiloError) return `The cutover was not possible: ${cause.message}`;
  if (cause instanceof Error && cause.name === 'TimeoutError') {
    return `The cutover was not finished within ${attemptMsMax / 1_000} s.`;
  }
  return 'The cutover was interrupted.';
}
