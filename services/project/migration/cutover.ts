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

/** Of one call that is repeated until its answer is known. */
const callMsMax = 2_000;
const pauses = { baseMs: 50, capMs: 1_000 };
/** An attempt that is not ended by this ends at the source by itself. */
const abortsMax = 3;

/** The project has been cut over, or goes on at the source. */
type Attempted = {
  record: MigrationDocument;
  /** For how long captures were held: of a committed attempt. */
  holdMs?: number | undefined;
};

/**
 * One attempt at the cutover. Answers the record, DONE or VERIFYING again. A process that dies here is
 * followed by one that calls `resumeCutover`.
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
      // They are there, but for one that was chosen and built since they were made.
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

/** Goes on with an attempt of a process that has died. */
export async function resumeCutover(work: Work, record: MigrationDocument): Promise<Attempted> {
  if (record.arrivedAttempt === record.attempt) {
    return await finish(work, record, {}, AbortSignal.timeout(attemptMsMax));
  }
  return { record: await giveUp(work, record, undefined) };
}

/** Lets the source commit, as often as it takes to know whether it has; then acts on that. */
async function finish(
  work: Work,
  record: MigrationDocument,
  progress: Partial<MigrationProgress>,
  within: AbortSignal,
): Promise<Attempted> {
  const { _id: migrationId, attempt } = record;
  if (!(await isKnownToGuards(work, within))) {
    // Not only given up here: a process before this one may still let the source commit.
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
 * Whether every guard of this region knows that the project has come. One that still took it for absent
 * would refuse for good what the source passes on once it has committed.
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
    'an attempt at the cutover is given up',
  );
  await untilKnown(work, record, abortsMax, (client, options) =>
    client.abortCutover({ migrationId, attempt }, options),
  ).catch(() => work.signal.throwIfAborted());
  // What the source is not ready for is no failure: it is tried again.
  const isWaiting = cause instanceof SiloError && cause.reason === ERROR_REASON_NOT_READY;
  const values = {
    failure: failureOf(cause),
    ...(isWaiting && { attemptsBefore: attemptsBefore + 1 }),
  };
  return await stayAway(work, record, values);
}

/** Undefined: the source has refused, because the attempt has ended. */
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

/** For people. */
function failureOf(cause: unknown): string {
  if (cause instanceof SiloError) return `The cutover was not possible: ${cause.message}`;
  if (cause instanceof Error && cause.name === 'TimeoutError') {
    return `The cutover was not finished within ${attemptMsMax / 1_000} s.`;
  }
  return 'The cutover was interrupted.';
}
