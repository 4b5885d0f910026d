import { reasonOf } from '@silo/errors/from-status.ts';
import type { LogReader } from '@silo/log/log-reader.ts';
import type { Position } from '@silo/log/position.ts';
import { mutation } from '@silo/log/test/support.ts';
import { MemberAdded } from '@silo/protos/gen/silo/events/v1/events.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { Progress } from '@silo/runtime/progress.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { createFollower } from '../loops/activity-follower.ts';
import { type StoreHarness, storeHarness } from './support.ts';

/** One instant for all events, so that the sequence orders them; recent, so that they are kept. */
const instant = new Date();
const stamp = { actor: 'acc_a', time: instant };

/** A log that the test writes, read in batches of two. */
function scriptedLog(): LogReader & { log: string[]; incarnation: string; first: number } {
  const source = {
    service: 'project' as const,
    log: [] as string[],
    incarnation: 'one',
    first: 1,
    async head(): Promise<Position> {
      return { sequence: source.log.length, incarnation: source.incarnation };
    },
    async read({ afterSequence }: { afterSequence: number }) {
      const head = await source.head();
      if (afterSequence + 1 < source.first) {
        return { events: [], head, firstSequence: source.first };
      }
      const events = source.log.slice(afterSequence, afterSequence + 2).map((name, index) => ({
        sequence: afterSequence + index + 1,
        id: `event-${name}`,
        type: 'internal.silo.project.created.v1',
        time: instant,
        actor: 'acc_a',
        subject: `prj_${name}`,
        correlationId: 'call_1',
        bodyJson:
          name === 'broken'
            ? '{"projectId":'
            : JSON.stringify({ projectId: `prj_${name}`, organizationId: 'org_1', name }),
      }));
      return { events, head };
    },
    wait: (_afterSequence: number, _maxMs: number, signal: AbortSignal) => systemSleep(20, signal),
  };
  return source;
}

function followerOf(harness: StoreHarness, ...logs: LogReader[]) {
  return followerWith(harness, new Progress('activity'), logs);
}

function followerWith({ stores, eventLog }: StoreHarness, progress: Progress, logs: LogReader[]) {
  const { activity } = stores;
  return createFollower({ activity, eventLog, logs, log: silentLogger(), progress });
}

async function listed({ stores, signal }: StoreHarness, organizationId = 'org_1') {
  const found = await stores.activity.list(organizationId, { size: 100 }, signal);
  return found.items.map(({ _id }) => _id);
}

test('catching up applies each event once, in batches, and lists the newest first', async (t) => {
  const harness = await storeHarness(t);
  const source = scriptedLog();
  source.log.push('a', 'b', 'c', 'd', 'e');
  const follower = followerOf(harness, source);
  await follower.catchUp(harness.signal);
  await follower.catchUp(harness.signal);
  t.deepEqual(await listed(harness), ['event-e', 'event-d', 'event-c', 'event-b', 'event-a']);
  source.log.push('f');
  await follower.catchUp(harness.signal);
  t.is((await listed(harness))[0], 'event-f');
});

test('an event whose body is not JSON is left out, and later events are applied', async (t) => {
  const harness = await storeHarness(t);
  const source = scriptedLog();
  source.log.push('a', 'broken', 'c');
  await followerOf(harness, source).catchUp(harness.signal);
  t.deepEqual(await listed(harness), ['event-c', 'event-a']);
});

test('concurrent catch-ups apply each event once', async (t) => {
  const harness = await storeHarness(t);
  const source = scriptedLog();
  source.log.push(...Array.from({ length: 20 }, (_, index) => String(index)));
  const followers = [followerOf(harness, source), followerOf(harness, source)];
  await Promise.all(
    [...followers, ...followers].map((follower) => follower.catchUp(harness.signal)),
  );
  t.is((await listed(harness)).length, 20);
  const position = await harness.stores.activity.position('project', harness.signal);
  t.deepEqual(position, { sequence: 20, incarnation: 'one' });
});

test('a log with a new incarnation is followed from its start', async (t) => {
  const harness = await storeHarness(t);
  const source = scriptedLog();
  source.log.push('a', 'b', 'c');
  const follower = followerOf(harness, source);
  await follower.catchUp(harness.signal);
  source.log = ['a', 'x'];
  source.incarnation = 'two';
  await follower.catchUp(harness.signal);
  t.true((await listed(harness)).includes('event-x'));
  const position = await harness.stores.activity.position('project', harness.signal);
  t.deepEqual(position, { sequence: 2, incarnation: 'two' });
});

test('events that the log no longer has are skipped', async (t) => {
  const harness = await storeHarness(t);
  const source = scriptedLog();
  source.log.push('a', 'b', 'c');
  source.first = 3;
  await followerOf(harness, source).catchUp(harness.signal);
  t.deepEqual(await listed(harness), ['event-c']);
});

test('an event with values that only a newer release knows is kept', async (t) => {
  const harness = await storeHarness(t);
  const source = scriptedLog();
  source.log.push('a', 'b');
  const newer: LogReader = {
    ...source,
    read: async (range, signal) => {
      const { events, head } = await source.read(range, signal);
      const [first, ...rest] = events;
      if (first === undefined) return { events, head };
      const type = 'internal.silo.billing.plan_changed.v1';
      const body = { organizationId: 'org_1', oldPlan: 'PLAN_FREE', plan: 'PLAN_OF_TOMORROW' };
      const newest = { ...first, type, bodyJson: JSON.stringify(body) };
      return { events: [newest, ...rest], head };
    },
  };
  await followerOf(harness, newer).catchUp(harness.signal);
  const { items } = await harness.stores.activity.list('org_1', { size: 9 }, harness.signal);
  t.deepEqual(
    items.map(({ _id, changes }) => [_id, changes]),
    [
      ['event-b', [{ field: 'name', from: '', to: 'b' }]],
      ['event-a', [{ field: 'plan', from: 'PLAN_FREE', to: 'PLAN_OF_TOMORROW' }]],
    ],
  );
});

test('activity is unavailable if a log cannot be read in time', async (t) => {
  const harness = await storeHarness(t);
  const time = new AbortController();
  const stuck: LogReader = {
    ...scriptedLog(),
    head: (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        time.abort(new DOMException('the time is over', 'TimeoutError'));
      }),
  };
  const error = await t.throwsAsync(followerOf(harness, stuck).catchUp(time.signal));
  t.is(reasonOf(error), 'DEPENDENCY_UNAVAILABLE');
});

test('a log is reported as stalled until it can be read', async (t) => {
  const harness = await storeHarness(t);
  const source = scriptedLog();
  source.log.push('a');
  let isBroken = true;
  const flaky: LogReader = {
    ...source,
    head: async (signal) => {
      if (isBroken) throw new Error('the answer is too large');
      return await source.head(signal);
    },
  };
  let nowMs = 0;
  const progress = new Progress('activity', () => nowMs);
  const stopping = new AbortController();
  const following = followerWith(harness, progress, [flaky]).follow(stopping.signal);
  t.teardown(async () => {
    stopping.abort();
    await following;
  });
  // The test sets the clock: each check is one minute after the previous one.
  await eventually(() => {
    nowMs += 60_000;
    if (!progress.isStalled) throw new Error('nothing has failed yet');
  });
  isBroken = false;
  await eventually(async () => {
    if (progress.isStalled) throw new Error('still stalled');
    if ((await listed(harness)).length === 0) throw new Error('nothing is applied yet');
  });
  t.deepEqual(await listed(harness), ['event-a']);
});

test('org’s own events are in the activity log as soon as they are committed', async (t) => {
  const harness = await storeHarness(t);
  const follower = followerOf(harness, harness.eventLog);
  for (const [organizationId, accountId] of [
    ['org_1', 'acc_a'],
    ['org_2', 'acc_b'],
  ] as const) {
    await harness.eventLog.decide(mutation(), async (tx) => {
      const body = { organizationId, accountId, level: 1 as const, revision: 1, ...stamp };
      tx.emit({ event: 'member_added', subject: organizationId, body: MemberAdded.toJSON(body) });
    });
    await follower.catchUp(harness.signal);
    const { items } = await harness.stores.activity.list(
      organizationId,
      { size: 10 },
      harness.signal,
    );
    const [entry, ...rest] = items;
    t.is(entry?.type, 'org.member_added');
    t.is(entry?.subjectId, accountId);
    t.deepEqual(rest, []);
  }
});

test('new entries do not shift activity pages, which show one organization and project', async (t) => {
  const harness = await storeHarness(t);
  const { stores, signal, decide } = harness;
  const entry = (id: string, sequence: number, organizationIds: string[], projectId: string) => ({
    _id: id,
    time: instant,
    sequence,
    type: 'project.updated',
    actor: 'acc_a',
    organizationIds,
    projectId,
    subjectId: '',
    moveId: '',
    undoOf: '',
    changes: [],
  });
  let from = await stores.activity.position('token', signal);
  const add = async (...between: ReturnType<typeof entry>[]) => {
    const to = { sequence: from.sequence + between.length, incarnation: 'one' };
    const step = { from, to, between };
    t.true(
      await decide((tx) => stores.activity.advance(tx, 'token', step)),
      'the position was as expected',
    );
    t.false(
      await decide((tx) => stores.activity.advance(tx, 'token', step)),
      'a step is applied once',
    );
    from = to;
  };
  await add(
    entry('e1', 1, ['org_1'], 'prj_1'),
    entry('e2', 2, ['org_1', 'org_2'], 'prj_1'),
    entry('e3', 3, ['org_1'], 'prj_2'),
    entry('e4', 4, ['org_2'], 'prj_1'),
  );
  const ids = async (...options: Parameters<typeof stores.activity.list>) =>
    (await stores.activity.list(...options)).items.map(({ _id }) => _id);
  t.deepEqual(await ids('org_1', { size: 2 }, signal), ['e3', 'e2']);
  await add(entry('e5', 5, ['org_1'], 'prj_1'));
  const after = { time: instant, sequence: 2, id: 'e2' };
  t.deepEqual(await ids('org_1', { after, size: 2 }, signal), ['e1']);
  t.deepEqual(await ids('org_1', { projectId: 'prj_1', size: 9 }, signal), ['e5', 'e2', 'e1']);
  t.deepEqual(await ids('org_2', { projectId: 'prj_1', size: 9 }, signal), ['e4', 'e2']);
  t.deepEqual(await ids('org_3', { size: 9 }, signal), []);
});
