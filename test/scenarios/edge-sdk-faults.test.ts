import type { ExecutionContext } from 'ava';
import { EdgeFront, type Fate } from '../harness/edge-front.ts';
import { eventually } from '../harness/eventually.ts';
import { edgeScenarios, keepSending, openSdk } from './edge-support.ts';
import { allEvents } from './event-requests.ts';
import type { ScenarioContext } from './support.ts';

const { test, edge } = edgeScenarios();

const names = Array.from({ length: 30 }, (_, index) => `seen ${index}`).sort();

/**
 * Sends every name once through a front, and checks that every event that is reported as sent is
 * stored once.
 */
async function sendAll(t: ExecutionContext<ScenarioContext>, fateOf: (index: number) => Fate) {
  const { api, projectId, projectToken } = await t.context.silo.signUp();
  const front = await EdgeFront.start(edge.url, fateOf, undefined, true);
  t.teardown(() => front[Symbol.asyncDispose]());
  // The SDK sees each refusal of the front, which itself retries requests that the edge had no time
  // for.
  const opened = openSdk(projectToken, front.url, { isSteady: () => false });
  for (const event of names) opened.sdk.capture({ distinctId: 'ada', event });
  const stored = async () => (await allEvents(api, { projectId })).map(({ name }) => name).sort();
  await opened.sdk.flush().catch(() => {});
  t.deepEqual(opened.sent.toSorted(), await stored());
  return { ...opened, front, stored };
}

const refusedFor = (count: number) => (index: number) => (index < count ? 'refused' : 'answered');
const cutFor = (count: number) => (index: number) => (index < count ? 'cut' : 'answered');

test('posthog-node retries after 503, up to three times, and each event is stored once', async (t) => {
  const { sdk, front, errors, sent } = await sendAll(t, refusedFor(3));
  await sdk.shutdown();
  t.deepEqual(front.statuses, [503, 503, 503, 200]);
  t.deepEqual(errors, []);
  t.deepEqual(sent.sort(), names);
});

test('posthog-node drops its events at the fourth 503, reports that, and does not send them later', async (t) => {
  const { sdk, front, errors, stored } = await sendAll(t, refusedFor(4));
  t.deepEqual(front.statuses, [503, 503, 503, 503]);
  t.is(errors.length, 1);
  sdk.capture({ distinctId: 'ada', event: 'later' });
  await sdk.shutdown();
  t.deepEqual(await stored(), ['later']);
});

test('posthog-node retries when the answer is lost, and each event is stored once', async (t) => {
  const fateOf = (index: number) => (index < 3 ? 'unanswered' : 'answered');
  const { sdk, front, errors, sent } = await sendAll(t, fateOf);
  await sdk.shutdown();
  t.deepEqual(front.statuses, [0, 0, 0, 200]);
  t.deepEqual(errors, []);
  t.deepEqual(sent.sort(), names);
});

test('posthog-node keeps its events when four connections break, and sends them with the next flush', async (t) => {
  const { sdk, front, errors, sent } = await sendAll(t, cutFor(4));
  t.is(errors.length, 1);
  t.deepEqual(sent, []);
  await sdk.shutdown();
  t.deepEqual(front.statuses, [0, 0, 0, 0, 200]);
  t.deepEqual(sent.sort(), names);
});

test('posthog-node drops events with a replaced token after one request; events sent before are kept', async (t) => {
  const { api, projectId, projectToken } = await t.context.silo.signUp();
  const { sdk, statuses, errors, sent } = openSdk(projectToken, edge.url);
  sdk.capture({ distinctId: 'ada', event: 'before' });
  await sdk.flush();
  const request = { projectId, expectedFingerprint: '', requestId: '' };
  await api.projectTokens.regenerateProjectToken(request);
  sdk.capture({ distinctId: 'ada', event: 'after' });
  await sdk.shutdown();
  t.deepEqual(statuses, [200, 401]);
  t.is(errors.length, 1);
  t.deepEqual(sent, ['before']);
  t.deepEqual(
    (await allEvents(api, { projectId })).map(({ name }) => name),
    ['before'],
  );
});

test('shutdown of posthog-node sends all queued events', async (t) => {
  const { api, projectId, projectToken } = await t.context.silo.signUp();
  const { sdk, errors, sent } = openSdk(projectToken, edge.url);
  const queued = Array.from({ length: 900 }, (_, index) => `seen ${index}`).sort();
  for (const event of queued) sdk.capture({ distinctId: 'ada', event });
  await sdk.shutdown();
  t.deepEqual(errors, []);
  t.deepEqual(sent.sort(), queued);
  const stored = (await allEvents(api, { projectId })).map(({ name }) => name);
  t.deepEqual(stored.sort(), queued);
});

test('posthog-node sends through a restart of the edge, and each event is stored once', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  // As often as the restart takes.
  const { sdk, statuses, errors, sent } = openSdk(projectToken, edge.url, { retries: 10_000 });
  const sending = keepSending(sdk);
  const until = (condition: () => boolean) =>
    eventually(() => {
      if (!condition()) throw new Error(`statuses: ${statuses.slice(-5)}`);
    });
  await until(() => sent.length > 0);
  await silo.stop('project');
  await until(() => statuses.includes(0));
  await silo.start('project');
  const all = await sending.stop();
  t.deepEqual(errors, []);
  t.deepEqual(sent.sort(), all);
  const stored = (await allEvents(api, { projectId })).map(({ name }) => name);
  t.deepEqual(stored.sort(), all);
});
