/** posthog-js in headless Chromium, on a page of another origin than the edge. */
import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { newProjectToken } from '@silo/tokens/secrets.ts';
import type { ExecutionContext } from 'ava';
import { obtainChromium, openPage } from '../harness/chromium.ts';
import { EdgeFront, type Fate } from '../harness/edge-front.ts';
import { eventually } from '../harness/eventually.ts';
import { edgeScenarios } from '../scenarios/edge-support.ts';
import { allEvents, where } from '../scenarios/event-requests.ts';
import type { ScenarioContext } from '../scenarios/support.ts';
import { openSite } from './site.ts';

const { test, edge } = edgeScenarios();

let chromium: Awaited<ReturnType<typeof obtainChromium>> | undefined;
test.before(async () => {
  if (process.env.CI) {
    console.log('# posthog-js is left out: CI has no browser');
    return;
  }
  try {
    const found = await obtainChromium();
    await provePage(found);
    chromium = found;
  } catch (error) {
    console.log(`# posthog-js is left out, as no Chromium runs here: ${error}`);
  }
});

/** Rejects if the Chromium does not run the script of a page. */
async function provePage(found: Awaited<ReturnType<typeof obtainChromium>>): Promise<void> {
  await using site = await openSite();
  await using _page = await openPage(
    found,
    site.url({ token: newProjectToken(), host: `http://${site.host}` }),
  );
  await eventually(() => {
    if (site.reports.length === 0) throw new Error(`${found.path} ran no script of a page`);
  });
}

type Opened = {
  site: Awaited<ReturnType<typeof openSite>>;
  front: EdgeFront;
  stored: (query?: Partial<Parameters<typeof allEvents>[1]>) => ReturnType<typeof allEvents>;
};

/** A page that sends through a front; undefined if there is no Chromium. */
async function open(
  t: ExecutionContext<ScenarioContext>,
  query: Record<string, string>,
  fateOf: (index: number) => Fate = () => 'answered',
): Promise<Opened | undefined> {
  if (chromium === undefined) {
    t.pass('there is no Chromium here');
    return undefined;
  }
  const { api, projectId, projectToken } = await t.context.silo.signUp();
  const site = await openSite();
  t.teardown(() => site[Symbol.asyncDispose]());
  const front = await EdgeFront.start(edge.url, fateOf, undefined, true);
  t.teardown(() => front[Symbol.asyncDispose]());
  const url = site.url({ token: projectToken, host: front.url, ...query });
  const page = await openPage(chromium, url);
  t.teardown(() => page[Symbol.asyncDispose]());
  return { site, front, stored: (more = {}) => allEvents(api, { projectId, ...more }) };
}

const namesOf = (events: Awaited<ReturnType<typeof allEvents>>) =>
  events.map(({ name }) => name).sort();

/** Waits until this number of events is stored, and returns the names of all. */
async function untilStored({ stored, front, site }: Opened, count: number): Promise<string[]> {
  return await eventually(async () => {
    const names = namesOf(await stored());
    if (names.length >= count) return names;
    const seen = JSON.stringify([names, front.statuses, site.reports]);
    throw new Error(`${names.length} of ${count} events are stored: ${seen}`);
  });
}

test('events that posthog-js sends arrive once and are found by $host, even when the page leaves', async (t) => {
  const opened = await open(t, { story: '', count: '3', leave: '' });
  if (opened === undefined) return;
  const { site, stored } = opened;
  const names = ['$pageview', 'seen 0', 'seen 1', 'seen 2'];
  names.push('$identify', '$create_alias', '$groupidentify', 'grouped');
  t.deepEqual(await untilStored(opened, names.length), names.toSorted());
  site.leave();
  t.deepEqual(await untilStored(opened, names.length + 1), [...names, '$pageleave'].sort());
  const isHost = where(
    ...(['$host', PropertyOperator.PROPERTY_OPERATOR_EQUAL, JSON.stringify(site.host)] as const),
  );
  const events = await stored({ filter: isHost });
  t.is(events.length, names.length + 1);
  const propertiesOf = (name: string) =>
    JSON.parse(events.find((each) => each.name === name)?.properties ?? '{}');
  t.like(propertiesOf('seen 0'), { $host: site.host, plan: 'free', $lib: 'web' });
  t.is(propertiesOf('seen 0').token, undefined);
  t.like(propertiesOf('$identify'), { $set: { email: 'ada@example.com' } });
  t.like(propertiesOf('$create_alias'), { alias: 'countess' });
  t.like(propertiesOf('$groupidentify'), { $group_key: 'c1', $group_set: { size: 3 } });
  t.like(propertiesOf('grouped'), { $groups: { company: 'c1' } });
  t.deepEqual(
    site.reports.filter(({ what }) => what === 'error'),
    [],
  );
});

const sentAgain: { what: string; fate: Fate }[] = [
  { what: 'after 503', fate: 'refused' },
  { what: 'when the answer is lost', fate: 'unanswered' },
  { what: 'when the connection breaks', fate: 'cut' },
];

for (const { what, fate } of sentAgain) {
  test(`posthog-js retries ${what}, and each event is stored once`, async (t) => {
    const opened = await open(t, { count: '3' }, (index) => (index === 0 ? fate : 'answered'));
    if (opened === undefined) return;
    const { front, stored } = opened;
    // The first request has no success; after the next one all events are stored, once each.
    await eventually(() => {
      if (!front.statuses.includes(200)) throw new Error(`statuses: ${front.statuses}`);
    });
    t.not(front.statuses[0], 200);
    const names = ['$pageview', 'seen 0', 'seen 1', 'seen 2'];
    t.deepEqual(await untilStored(opened, names.length), names);
    t.deepEqual(namesOf(await stored()), names);
  });
}

test('posthog-js drops events with a dead token, and its page continues', async (t) => {
  const opened = await open(t, { count: '3', token: newProjectToken() });
  if (opened === undefined) return;
  const { front, site, stored } = opened;
  await eventually(() => {
    if (front.statuses.length === 0) throw new Error('nothing was sent');
  });
  t.deepEqual([...new Set(front.statuses)], [401]);
  t.deepEqual(await stored(), []);
  t.deepEqual(
    site.reports.filter(({ what }) => what === 'error'),
    [],
  );
});
