import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import { PostHog as PostHogLite } from 'posthog-js-lite';
import { edgeScenarios, openSdk } from './edge-support.ts';
import { allEvents, where } from './event-requests.ts';

const { test, edge } = edgeScenarios();

for (const captureMode of ['v0', 'v1'] as const) {
  test(`events that posthog-node (${captureMode}) sends arrive once and are found by $host`, async (t) => {
    const { api, projectId, projectToken } = await t.context.silo.signUp();
    process.env.POSTHOG_CAPTURE_MODE = captureMode;
    const { sdk, errors } = openSdk(projectToken, edge.url);
    delete process.env.POSTHOG_CAPTURE_MODE;
    await sdk.register({ plan: 'free' });
    const names = Array.from({ length: 120 }, (_, index) => `seen ${index}`);
    for (const event of names) {
      sdk.capture({ distinctId: 'ada', event, properties: { $host: 'app.example.com', n: 1.5 } });
    }
    sdk.capture({
      distinctId: 'ada',
      event: 'elsewhere',
      properties: { $host: 'site.example.com' },
    });
    sdk.capture({ distinctId: 'ada', event: 'grouped', groups: { company: 'c1' } });
    sdk.identify({ distinctId: 'ada', properties: { email: 'ada@example.com' } });
    sdk.alias({ distinctId: 'ada', alias: 'countess' });
    sdk.groupIdentify({ groupType: 'company', groupKey: 'c1', properties: { size: 3 } });
    await sdk.shutdown();
    t.deepEqual(errors, []);
    const events = await allEvents(api, { projectId });
    const counts = new Map<string, number>();
    for (const { name } of events) counts.set(name, (counts.get(name) ?? 0) + 1);
    const expected = [
      ...names,
      'elsewhere',
      'grouped',
      '$identify',
      '$create_alias',
      '$groupidentify',
    ];
    t.deepEqual([...counts.keys()].sort(), [...expected].sort());
    t.deepEqual([...new Set(counts.values())], [1]);
    const filter = where('$host', PropertyOperator.PROPERTY_OPERATOR_EQUAL, '"app.example.com"');
    const found = await allEvents(api, { projectId, filter });
    t.deepEqual(found.map(({ name }) => name).sort(), [...names].sort());
    t.like(JSON.parse(found[0]?.properties ?? ''), {
      $host: 'app.example.com',
      n: 1.5,
      plan: 'free',
      $lib: 'posthog-node',
    });
    const propertiesOf = (name: string) =>
      JSON.parse(events.find((each) => each.name === name)?.properties ?? '{}');
    t.like(propertiesOf('grouped'), { $groups: { company: 'c1' } });
    t.like(propertiesOf('$identify'), { $set: { email: 'ada@example.com' } });
    t.like(propertiesOf('$create_alias'), { alias: 'countess' });
    t.like(propertiesOf('$groupidentify'), {
      $group_type: 'company',
      $group_key: 'c1',
      $group_set: { size: 3 },
    });
  });
}

test('events that posthog-js-lite sends arrive once and are found by $host', async (t) => {
  const { api, projectId, projectToken } = await t.context.silo.signUp();
  const sdk = new PostHogLite(projectToken, { host: edge.url, persistence: 'memory' });
  const errors: unknown[] = [];
  sdk.on('error', (error: unknown) => errors.push(error));
  await sdk.register({ plan: 'free' });
  sdk.capture('seen', { $host: 'app.example.com', n: 1.5 });
  sdk.identify('ada', { email: 'ada@example.com' });
  sdk.alias('countess');
  sdk.group('company', 'c1', { size: 3 });
  sdk.capture('grouped');
  await sdk.shutdown();
  t.deepEqual(errors, []);
  const events = await allEvents(api, { projectId });
  const names = ['seen', '$identify', '$create_alias', '$groupidentify', 'grouped'];
  t.deepEqual(events.map(({ name }) => name).sort(), names.sort());
  const filter = where('$host', PropertyOperator.PROPERTY_OPERATOR_EQUAL, '"app.example.com"');
  const [seen, ...rest] = await allEvents(api, { projectId, filter });
  t.is(rest.length, 0);
  t.like(JSON.parse(seen?.properties ?? ''), { n: 1.5, plan: 'free', $lib: 'js' });
});
