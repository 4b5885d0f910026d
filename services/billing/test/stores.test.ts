import type { Transaction } from '@silo/log/event-log.ts';
import { forgetRequest } from '@silo/log/forget-request.ts';
import { mutation, testEventLog } from '@silo/log/test/support.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import test, { type ExecutionContext } from 'ava';
import { storeMigrations } from '../store/set-up.ts';
import { createSubscriptionStore } from '../store/subscriptions.ts';
import { billingDetails, subscriptionDocument } from './support.ts';

async function open(t: ExecutionContext) {
  const { connection, eventLog } = await testEventLog(t, 'billing');
  const { db } = connection;
  await prepare(db, storeMigrations);
  await prepare(db, storeMigrations);
  const decide = async <T>(body: (tx: Transaction) => Promise<T>) =>
    (await eventLog.decide(mutation(), (tx) => body(tx))).value;
  const { signal } = new AbortController();
  return {
    ...{ eventLog, decide, signal },
    subscriptions: createSubscriptionStore(db),
  };
}

test('a subscription is found and saved only by its own organization', async (t) => {
  const { subscriptions, decide, signal } = await open(t);
  const mine = subscriptionDocument({ _id: 'org_us_1', billingDetails });
  const theirs = subscriptionDocument({ _id: 'org_us_2' });
  await decide((tx) => subscriptions.insert(tx, mine));
  await decide((tx) => subscriptions.insert(tx, theirs));
  const changed = { ...mine, plan: Plan.PLAN_SCALE, revision: 2 };
  t.true(await decide((tx) => subscriptions.save(tx, changed, 1)));
  t.deepEqual(await subscriptions.find('org_us_1', signal), changed);
  t.deepEqual(await subscriptions.find('org_us_2', signal), theirs);
  t.deepEqual(await decide((tx) => subscriptions.findIn(tx, 'org_us_2')), theirs);
  t.is(await subscriptions.find('org_us_3', signal), undefined);
  t.is(await decide((tx) => subscriptions.findIn(tx, 'org_us_3')), undefined);
});

test('a subscription that has changed since it was read is not overwritten', async (t) => {
  const { subscriptions, decide, signal } = await open(t);
  const present = subscriptionDocument({ revision: 2 });
  await decide((tx) => subscriptions.insert(tx, present));
  const late = { ...present, plan: Plan.PLAN_SCALE, revision: 2 };
  t.false(await decide((tx) => subscriptions.save(tx, late, 1)));
  t.deepEqual(await subscriptions.find(present._id, signal), present);
});

test('a forgotten request is carried out again, and another account’s record is kept', async (t) => {
  const { eventLog, decide } = await open(t);
  const mine = mutation({ requestId: 'r', account: 'acc_1' });
  const theirs = mutation({ requestId: 'r', account: 'acc_2' });
  for (const each of [mine, theirs]) {
    await eventLog.decide(each, async (tx) => {
      tx.remember({ sagaId: 's' });
    });
  }
  const key = mine.request?.key ?? Buffer.alloc(0);
  await decide((tx) => forgetRequest(tx, key));
  t.is(await eventLog.findRequest(key), undefined);
  t.like(await eventLog.findRequest(theirs.request?.key ?? key), { sagaId: 's' });
});
