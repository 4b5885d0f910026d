/** How the batches of projects share the memory and transactions of one process. */

import { Authorization } from '@silo/access/authorization.ts';
import { errors } from '@silo/errors/errors.ts';
import test from 'ava';
import { Storing } from '../capture/storing.ts';
import { OutcomeUnknown } from '../store/captured-events.ts';
import type { EventBatch } from '../store/event-collection.ts';
import { captured, heldPermit } from './event-support.ts';
import { refusalOf } from './support.ts';

const { signal } = new AbortController();
const mib = 2 ** 20;

function batchOf(projectId: string): EventBatch {
  const receiveTime = new Date();
  return {
    ...{ projectId, organizationId: 'org_us_x', receiveTime, generation: 0 },
    events: [captured({})],
  };
}

/** A store that waits for `next` before it stores a group, and shows the groups. */
function open() {
  const groups: string[][] = [];
  const commits: (() => void)[] = [];
  const storing = new Storing({
    insert: async (batches) => {
      groups.push(batches.map(({ projectId }) => projectId));
      const { promise, resolve } = Promise.withResolvers<void>();
      commits.push(resolve);
      await promise;
      return batches.map(({ events }) => events.map(() => false));
    },
  });
  const put = (projectId: string, bytes: number) =>
    storing.store(
      batchOf(projectId),
      { bytes, permit: heldPermit },
      { signal, authorization: undefined },
    );
  return { groups, put, next: () => commits.shift()?.() };
}

test('a project may hold as much memory as it leaves free for others', async (t) => {
  const { put, next, groups } = open();
  const held = Array.from({ length: 8 }, () => put('prj_large', 4 * mib));
  for (const bytes of [1, 4 * mib, 16 * mib]) {
    const refusal = await refusalOf(put('prj_large', bytes));
    t.is(refusal.reasonName, 'RATE_LIMITED');
  }
  const other = [put('prj_other', 8 * mib), put('prj_other', 4 * mib)];
  t.is((await refusalOf(put('prj_other', 12 * mib))).reasonName, 'RATE_LIMITED');
  held.push(put('prj_third', 16 * mib));
  t.is(
    (await refusalOf(put('prj_fourth', 8 * mib))).reasonName,
    'RATE_LIMITED',
    'no memory is left',
  );
  const stored = Promise.all([...held, ...other]);
  let isStored = false;
  void stored.then(() => {
    isStored = true;
  });
  while (!isStored) {
    next();
    await new Promise(setImmediate);
  }
  t.is(groups.flat().length, 11);
  const again = put('prj_large', 16 * mib);
  next();
  t.deepEqual(await again, [false], 'stored batches hold no memory');
});

test('small batches of a project may take half of the places for waiting', async (t) => {
  const { put } = open();
  // The first one does not wait.
  const held = Array.from({ length: 2_001 }, () => put('prj_large', 1));
  t.is((await refusalOf(put('prj_large', 1))).reasonName, 'RATE_LIMITED');
  held.push(put('prj_other', 1));
  t.is(held.length, 2_002);
});

test('projects take turns: one with many batches does not delay another', async (t) => {
  const { put, next, groups } = open();
  const held = Array.from({ length: 8 }, () => put('prj_large', 4 * mib));
  held.push(put('prj_a', 1_000), put('prj_b', 1_000), put('prj_b', 1_000));
  const stored = Promise.all(held);
  for (let count = 1; count <= 3; count++) {
    next();
    await new Promise(setImmediate);
  }
  t.deepEqual(groups.slice(0, 3), [['prj_large'], ['prj_large'], ['prj_a', 'prj_b']]);
  for (let count = 1; count <= 8; count++) {
    next();
    await new Promise(setImmediate);
  }
  await stored;
  t.is(groups.flat().filter((project) => project === 'prj_large').length, 8);
});

test('the permits of a batch are kept only if it is unknown whether its events are stored', async (t) => {
  const unknown = new OutcomeUnknown(new Error('no answer'));
  for (const [failure, releases] of [
    [unknown, 0],
    [errors.dependencyUnavailable('mongodb'), 1],
  ] as const) {
    let released = 0;
    const permit = { ...heldPermit, release: () => void released++ };
    const authorization = new Authorization(permit);
    const storing = new Storing({ insert: async () => await Promise.reject(failure) });
    const stored = storing.store(batchOf('prj_x'), { bytes: 1, permit }, { signal, authorization });
    t.is((await refusalOf(stored)).reasonName, 'DEPENDENCY_UNAVAILABLE');
    authorization.release();
    t.is(released, releases);
  }
});
