import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { eventually } from '../../harness/eventually.ts';
import { probe } from '../../harness/region-probe.ts';
import { storedEvents } from '../../harness/regions.ts';
import { present } from '../../scenarios/choose-plan.ts';
import {
  type Migrant,
  newMigrant,
  planOf,
  recordIn,
  staffOf,
} from '../../scenarios/migration-support.ts';
import type { FaultRegion } from './fault-regions.ts';
import type { Fault } from './faults.ts';
import { type MomentName, watchMoments } from './moments.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import { keepSending, type Sender } from './sender.ts';

export const phases = ['migration', 'rollback', 'purge'] as const;
/**
 * The last phase of a run, in which it fails; the phases before a rollback or a purge run
 * undisturbed.
 */
export type Phase = (typeof phases)[number];

/** The regions of one migration, or of its rollback: source and destination. */
type FaultEnds = { from: FaultRegion; to: FaultRegion };

/** A project's migration, and the fault that occurs. */
export type Run = FaultEnds & {
  phase?: Phase;
  /** Number of events before it starts. */
  events: number;
  /** Undefined if nothing fails. */
  fault?: Fault | undefined;
  /**
   * When it begins: at a moment, or this many milliseconds after the start; a purge has no moments.
   */
  at: MomentName | number;
  /** How long it lasts: until a moment, or this many milliseconds. */
  until: MomentName | number;
  /** Another SDK that sends to an edge of the source, in addition to posthog-node. */
  openSender?: ((token: string, edgeUrl: string) => Promise<Sender>) | undefined;
};

/** More than the pauses and retries of a migration take in total. */
const withinMs = 600_000;
const sentAfterwards = 5;
const perBatch = 250;
/** So slow that a copy that has begun lasts as long as the fault. */
const slowBytesPerSecond = 1;

/**
 * Migrates a new project while SDKs send through the source's edges and both regions are probed,
 * causes a fault on the way, repairs it, and at the end compares what was sent with what is stored.
 */
export async function runMigration(run: Run): Promise<Outcome> {
  const { from, to, phase = 'migration', openSender } = run;
  await using ending = new AsyncDisposableStack();
  const migrant = await eventually(() => newMigrant({ from, to }));
  const { projectId, projectToken } = migrant;
  const captured = await capture(from, projectToken, run.events);
  const senders = from.edges.map(({ url }, index) =>
    keepSending(projectToken, url, `seen at ${index}:`),
  );
  const probing = probe([from, to], projectToken);
  // Also done if the run fails.
  ending.defer(async () => {
    await Promise.allSettled([...senders, probing].map((each) => each.stop()));
  });
  const lastEdge = from.edges.at(-1)?.url ?? '';
  if (openSender) senders.push(await openSender(projectToken, lastEdge));

  await untilAccepts(probing, from);
  const progress = { missed: [] as string[] };
  const go = async (its: Phase, ends: FaultEnds, start: () => Promise<string>) =>
    phase === its ? await disturb({ ...run, ...ends }, start, progress) : await start();
  const acceptedId = await untilAccepted(migrant);
  const migrationId = await go('migration', { from, to }, async () => {
    const request = { migrationId: acceptedId };
    if (phase === 'migration' && run.at === 'copying') {
      const slow = { ...request, bytesPerSecondMax: slowBytesPerSecond };
      await eventually(() => staffOf(to).setMigrationRate(slow));
    }
    await eventually(() => staffOf(to).startMigration(request));
    return acceptedId;
  });
  const moves = [await untilMoved({ from, to }, migrationId)];
  await untilAccepts(probing, to);
  if (phase === 'rollback') {
    const back = { from: to, to: from };
    const backId = await go('rollback', back, async () => {
      const answer = await eventually(() => staffOf(from).rollbackMigration({ migrationId }));
      return answer.migration?.id ?? '';
    });
    moves.push(await untilMoved(back, backId));
    await untilAccepts(probing, from);
  }
  if (phase === 'purge') {
    const purge = () => eventually(() => staffOf(from).purgeSource({ migrationId }));
    await go('purge', { from, to }, async () => {
      await purge();
      return migrationId;
    });
    await untilPurged(from, migrationId, purge);
  }
  await untilMoreAreSent(senders);
  const sent = await Promise.all(senders.map((sender) => sender.stop()));
  const probed = await probing.stop();
  const [home, other] = phase === 'rollback' ? [from, to] : [to, from];
  return outcomeOf({
    ...{ captured, sent, probed, moves, missed: progress.missed, isPurged: phase === 'purge' },
    stored: await eventually(() => storedEvents(home, projectId)),
    left: await eventually(() => storedEvents(other, projectId)),
  });
}

/** Requests and accepts a migration, each with one request id, because an answer may be lost. */
async function untilAccepted(migrant: Migrant): Promise<string> {
  const { source, destination } = migrant;
  const request = { ...planOf(migrant), planFingerprint: '', requestId: randomUUID() };
  const { migration } = await eventually(() => source.api.migrations.requestMigration(request));
  const migrationId = present(migration).id;
  const organizationId = destination.organization.id;
  const accept = { migrationId, organizationId, requestId: randomUUID() };
  await eventually(() => destination.api.migrations.acceptMigration(accept));
  return migrationId;
}

/** Starts something, and causes and repairs a fault meanwhile. */
async function disturb(
  { from, to, phase = 'migration', fault, at, until }: Run,
  start: () => Promise<string>,
  { missed }: { missed: string[] },
): Promise<string> {
  if (fault === undefined) return await start();
  const region = fault.end === 'from' ? from : to;
  await using watching = await watchMoments({ from, to });
  await fault.prepare?.(region);
  const id = await start();
  try {
    if (typeof at === 'number') await pause(at);
    else await watching.reached(at, id);
    await fault.act(region);
    if (typeof until === 'number') await pause(until);
    else await watching.reached(until, id);
  } catch (error) {
    missed.push(error instanceof Error ? error.message : String(error));
  }
  await fault.heal(region);
  if (phase === 'migration' && at === 'copying') {
    const request = { migrationId: id, bytesPerSecondMax: 0 };
    await eventually(() => staffOf(to).setMigrationRate(request));
  }
  return id;
}

/**
 * Waits until both regions have recorded that the migration is done. Staff retries it if it has
 * failed.
 */
async function untilMoved({ from, to }: FaultEnds, migrationId: string): Promise<Migration> {
  return await eventually(async () => {
    const [there, here] = [await recordIn(to, migrationId), await recordIn(from, migrationId)];
    if (there.state === MigrationState.MIGRATION_STATE_FAILED) {
      // It may already continue.
      await staffOf(to)
        .retryMigration({ migrationId, discardUnmatched: false })
        .catch(() => {});
    }
    const isDone = [there, here].every(
      ({ state }) => state === MigrationState.MIGRATION_STATE_DONE,
    );
    if (!isDone) throw new Error(`not done: ${JSON.stringify([there, here])}`);
    return there;
  }, withinMs);
}

/** Waits until the source has removed its copy. Staff starts the purge again if it was given up. */
async function untilPurged(
  from: FaultRegion,
  migrationId: string,
  purge: () => Promise<unknown>,
): Promise<void> {
  await eventually(async () => {
    const { purgeTime, failure } = await recordIn(from, migrationId);
    if (purgeTime !== undefined) return;
    if (failure !== '') await purge();
    throw new Error(`not purged: ${failure}`);
  }, withinMs);
}

/** Waits until the region has accepted a further event. */
async function untilAccepts({ soFar }: ReturnType<typeof probe>, { region }: FaultRegion) {
  const { length } = soFar.accepted;
  await eventually(() => {
    const accepted = soFar.accepted.slice(length).some((each) => each.region === region);
    if (!accepted) throw new Error(`${region} has not accepted an event yet`);
  });
}

async function untilMoreAreSent(senders: readonly Sender[]): Promise<void> {
  const before = senders.map(({ successes }) => successes);
  await eventually(() => {
    const more = senders.map(({ successes }, index) => successes - (before[index] ?? 0));
    if (more.every((count) => count >= sentAfterwards)) return;
    throw new Error(`so many events were sent afterwards by each SDK: ${more}`);
  }, withinMs);
}

/** Stores events over gRPC; returns their UUIDs. */
async function capture({ as }: FaultRegion, token: string, count: number): Promise<string[]> {
  const uuids: string[] = [];
  while (uuids.length < count) {
    const events = Array.from({ length: Math.min(perBatch, count - uuids.length) }, () => ({
      ...{ uuid: randomUUID(), name: 'before', distinctId: 'ada', timestamp: '' },
      properties: JSON.stringify({ $host: 'app.example.com', at: Math.random() }),
    }));
    await eventually(() => as(token).events.captureEvents({ events, superProperties: '' }));
    uuids.push(...events.map(({ uuid }) => uuid));
  }
  return uuids;
}
