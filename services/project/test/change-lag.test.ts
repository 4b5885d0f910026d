import { prepare, testDatabase } from '@silo/mongo/test/support.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { newId } from '@silo/tokens/ids.ts';
import test, { type ExecutionContext } from 'ava';
import type { Db } from 'mongodb';
import { eventually } from '../../../test/harness/eventually.ts';
import { createCapturedEventStore } from '../store/captured-events.ts';
import { createEventDeletionStore } from '../store/event-deletions.ts';
import { ChangeFollower } from '../store/migration-changes.ts';
import { storeMigrations } from '../store/set-up.ts';
import { createUsageStore } from '../store/usage.ts';
import { captured, insert } from './event-support.ts';

const hourMs = 60 * 60 * 1_000;
const signal = () => AbortSignal.timeout(600_000);

/** The clock of a process whose wall clock differs from the server's. */
function skewed(byMs: number): Clock {
  return {
    now: () => new Date(Date.now() + byMs),
    monotonicMs: () => performance.now(),
  };
}

async function serverMs(db: Db): Promise<number> {
  const [answer] = await db.aggregate([{ $documents: [{ now: '$$NOW' }] }]).toArray();
  return answer?.now.getTime();
}

/** A database with events, each of which is one change. */
async function following(t: ExecutionContext, clock: Clock) {
  const { db } = await (await testDatabase(t)).connect();
  await prepare(db, storeMigrations);
  const store = createCapturedEventStore(db, createUsageStore(db), createEventDeletionStore(db));
  const [projectId, migrationId] = [newId('prj'), newId('mig_us')];
  return {
    db,
    capture: () => insert(store, projectId, [captured({})]),
    follow: (resumeToken: Uint8Array = new Uint8Array()) =>
      ChangeFollower.open(db, { projectId, migrationId, resumeToken }, { clock, signal: signal() }),
  };
}

test('a process whose clock is ahead of the server’s does not report a new change as old', async (t) => {
  const { capture, follow } = await following(t, skewed(hourMs));
  await using changes = await follow();
  await capture();
  await changes.wait(600_000, signal());
  const { uuids, lagMs } = changes.take();
  t.is(uuids.length, 1);
  t.true(lagMs < hourMs / 2, `${lagMs} ms`);
});

test('a process whose clock is behind does not report an old change as new', async (t) => {
  const { db, capture, follow } = await following(t, skewed(-hourMs));
  const { resumeToken } = await (async () => {
    await using before = await follow();
    return before.take();
  })();
  await capture();
  const capturedMs = await serverMs(db);
  const waitMs = 200;
  await eventually(async () => {
    const ms = (await serverMs(db)) - capturedMs;
    if (ms < waitMs) throw new Error(`it has waited for ${ms} ms`);
  });
  await using changes = await follow(resumeToken);
  await changes.wait(600_000, signal());
  const { uuids, lagMs } = changes.take();
  t.is(uuids.length, 1);
  t.true(lagMs >= waitMs, `${lagMs} ms`);
  t.true(lagMs < hourMs / 2, `${lagMs} ms`);
});
