/**
 * posthog-node, while MongoDB stands still or is killed: events that it reports as sent are stored
 * once.
 */
import { freePort } from '@silo/embedded/ports.ts';
import test from 'ava';
import { eventually } from '../harness/eventually.ts';
import { keepSending, openSdk } from '../scenarios/edge-support.ts';
import { allEvents } from '../scenarios/event-requests.ts';
import { type FaultSilo, makeWhole, startFaultSilo } from './fault-silo.ts';

let silo: FaultSilo;
let edgeUrl: string;
test.before(async () => {
  const address = `127.0.0.1:${await freePort()}`;
  edgeUrl = `http://${address}`;
  silo = await startFaultSilo({ environment: { EDGE_ADDRESS: address } });
});
test.beforeEach(() => makeWhole(silo));
test.after.always(() => silo?.[Symbol.asyncDispose]());

const faults: { what: string; disturb: () => Promise<void> | void; heal: () => Promise<void> }[] = [
  {
    what: 'stands still',
    disturb: () => silo.mongod.signal('SIGSTOP'),
    heal: () => silo.mongod.start(),
  },
  { what: 'is killed', disturb: () => silo.mongod.kill(), heal: () => silo.mongod.start() },
];

for (const { what, disturb, heal } of faults) {
  test.serial(
    `MongoDB ${what} and comes back: posthog-node loses nothing, and each event is stored once`,
    async (t) => {
      const { api, projectId, projectToken } = await silo.signUp('Ada');
      const { sdk, statuses, errors, sent } = openSdk(projectToken, edgeUrl, {
        ...{ retries: 10_000, isSteady: () => false },
      });
      const sending = keepSending(sdk);
      const until = (condition: () => boolean) =>
        eventually(() => {
          if (!condition()) throw new Error(`${sent.length} sent, ${statuses.length} requests`);
        });
      await until(() => sent.length > 0);
      const before = statuses.length;
      await disturb();
      // A request that has begun may still be answered; the next one is not.
      await until(() => statuses.length > before);
      await heal();
      const healed = sent.length;
      await until(() => sent.length > healed + 1);
      const all = await sending.stop();
      t.deepEqual(errors, []);
      t.deepEqual(sent.sort(), all);
      const stored = await eventually(() => allEvents(api, { projectId }));
      t.deepEqual(stored.map(({ name }) => name).sort(), all);
    },
  );
}

test.serial(
  'if MongoDB stands still for longer than the edge waits, the edge answers 503, and posthog-node reports the loss',
  async (t) => {
    const { api, projectId, projectToken } = await silo.signUp('Ada');
    let isSteady = true;
    const { sdk, statuses, errors, sent } = openSdk(projectToken, edgeUrl, {
      ...{ retries: 0, isSteady: () => isSteady },
    });
    sdk.capture({ distinctId: 'ada', event: 'before' });
    await sdk.flush();
    silo.mongod.signal('SIGSTOP');
    isSteady = false;
    sdk.capture({ distinctId: 'ada', event: 'meanwhile' });
    await sdk.flush().catch(() => {});
    silo.mongod.signal('SIGCONT');
    isSteady = true;
    t.deepEqual(statuses, [200, 503]);
    t.is(errors.length, 1);
    sdk.capture({ distinctId: 'ada', event: 'after' });
    await eventually(() => sdk.flush());
    await sdk.shutdown();
    t.deepEqual(sent, ['before', 'after']);
    const stored = (await eventually(() => allEvents(api, { projectId }))).map(({ name }) => name);
    for (const name of sent) t.is(stored.filter((each) => each === name).length, 1);
  },
);
