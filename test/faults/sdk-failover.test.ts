/**
 * posthog-node and posthog-js, while the primary of a three-node set is killed and another one is
 * elected: events that they report as sent are stored once, and events are lost only by their own
 * rules.
 */
import test from 'ava';
import { eventually } from '../harness/eventually.ts';
import { type SiloProcesses, startSiloProcesses } from '../harness/processes.ts';
import { openSdk } from '../scenarios/edge-support.ts';
import { allEvents } from '../scenarios/event-requests.ts';
import { holdCommand } from './fail-points.ts';
import { FailoverSet, primaryPort } from './failover-set.ts';
import { pageSender } from './migrations/page-sender.ts';

/**
 * The SDK's default: it drops a batch at the fourth 503. The pause between attempts is 100 ms
 * instead of 3 s.
 */
const retriesDefault = 3;
/** As many as the election takes. */
const retriesMany = 10_000;
const moreEach = 3;

let silo: SiloProcesses<FailoverSet>;
test.before(async () => {
  silo = await startSiloProcesses({
    edges: 1,
    startMongodb: (directory) => FailoverSet.start(directory),
  });
});
test.after.always(() => silo?.[Symbol.asyncDispose]());

/** posthog-node, which sends one event after the other, each with a flush. */
async function openNode(url: string, retries: number) {
  const owner = await silo.signUp();
  const { sdk, statuses, sent, errors } = openSdk(owner.projectToken, url, {
    ...{ retries, isSteady: () => false },
  });
  /** The statuses of each event's requests, by its name. */
  const requests = new Map<string, number[]>();
  let isOver = false;
  const sending = (async () => {
    while (!isOver) {
      const event = `seen ${requests.size}`;
      const before = statuses.length;
      sdk.capture({ distinctId: 'ada', event });
      // It reports the events that it could not send.
      await sdk.flush().catch(() => {});
      requests.set(event, statuses.slice(before));
    }
  })();
  return {
    ...{ owner, sent, errors, requests },
    end: async () => {
      isOver = true;
      await sending;
      await sdk.shutdown();
    },
  };
}

/** The names of the stored events of a project, as its owner reads them. */
async function storedOf({ api, projectId }: Awaited<ReturnType<typeof silo.signUp>>) {
  const events = await eventually(() => allEvents(api, { projectId }));
  return events.map(({ name }) => name).sort();
}

/** A page with posthog-js, where a Chromium runs. */
async function openPageSender(token: string, url: string) {
  if (process.env.CI) return undefined;
  const open = await pageSender().catch((error: unknown) => {
    console.log(`# posthog-js is left out, as no Chromium runs here: ${error}`);
    return undefined;
  });
  return await open?.(token, url);
}

test('a primary is killed while SDKs send, and another one is elected: events that they report as sent are stored once', async (t) => {
  t.timeout(900_000);
  const [inProject = '', alone = ''] = silo.edges.map(({ url }) => url);
  const patient = await openNode(inProject, retriesMany);
  const usual = await openNode(alone, retriesDefault);
  const visitor = await silo.signUp();
  const page = await openPageSender(visitor.projectToken, alone);
  const successes = () => [
    ...[patient.sent.length, usual.sent.length],
    ...(page === undefined ? [] : [page.successes]),
  ];
  const untilMore = async () => {
    const wanted = successes().map((count) => count + moreEach);
    await eventually(() => {
      const isShort = successes().some((count, index) => count < (wanted[index] ?? 0));
      if (isShort) throw new Error(`${successes()} events are sent instead of ${wanted}`);
    }, 300_000);
  };
  await untilMore();
  const { entered } = await holdCommand(silo.mongo, {
    ...{ service: 'project', command: 'commitTransaction', collection: 'captured_events' },
    outcome: 'done',
  });
  await entered();
  const killed = await silo.mongod.killPrimary(silo.mongo);
  t.not(await eventually(() => primaryPort(silo.mongo)), killed);
  await untilMore();
  await Promise.all([patient.end(), usual.end()]);
  const seen = await page?.stop();

  t.deepEqual(patient.errors, []);
  t.deepEqual(patient.sent.sort(), [...patient.requests.keys()].sort());
  t.deepEqual(await storedOf(patient.owner), patient.sent);

  const stored = await storedOf(usual.owner);
  t.deepEqual(stored, [...new Set(stored)]);
  // Refused events may be stored nevertheless.
  t.deepEqual(
    stored.filter((name) => usual.sent.includes(name)),
    usual.sent.sort(),
  );
  const lost = [...usual.requests].filter(([name]) => !usual.sent.includes(name));
  for (const [, statuses] of lost) {
    t.is(statuses.length, retriesDefault + 1);
    t.is(statuses.at(-1), 503);
  }
  t.true(usual.errors.length >= lost.length);
  t.log(`posthog-node: ${patient.sent.length + usual.sent.length} sent, ${lost.length} lost`);

  if (seen === undefined) return;
  t.log(`posthog-js: ${seen.acknowledged.length} sent, ${seen.givenUp.length} lost`);
  t.deepEqual(
    { ...seen, names: [], acknowledged: [] },
    {
      ...{ names: [], acknowledged: [], refused: [], givenUp: [] },
    },
  );
  const captured = seen.acknowledged.filter((name) => name.startsWith('page ')).sort();
  const found = (await storedOf(visitor)).filter((name) => name.startsWith('page '));
  t.deepEqual(found, captured);
});
