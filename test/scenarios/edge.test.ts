import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { ProjectSettings } from '@silo/protos/gen/silo/project/v1/project.ts';
import { newProjectToken } from '@silo/tokens/secrets.ts';
import { eventually } from '../harness/eventually.ts';
import { type Answer, edgeScenarios, send, sendCounted } from './edge-support.ts';
import { allEvents, capture, event } from './event-requests.ts';
import { present } from './support.ts';

const { test, edge } = edgeScenarios();

function reasonOf({ body }: Answer): unknown {
  return (body as { error?: { reason?: unknown } }).error?.reason;
}

function seen(more: object = {}) {
  return { event: 'seen', distinct_id: 'ada', uuid: randomUUID(), properties: {}, ...more };
}

async function stored(api: Parameters<typeof allEvents>[0], projectId: string) {
  return await allEvents(api, { projectId });
}

const v0Paths = ['/batch', '/e', '/capture', '/i/v0/e'];

test('every path of v0 accepts every form of body, gzip or not, and answers 200 with a JSON object', async (t) => {
  const { api, projectId, projectToken: token } = await t.context.silo.signUp();
  const bodies = [
    (event: object) => ({
      api_key: token,
      batch: [event],
      sent_at: null,
      historical_migration: false,
    }),
    (event: object) => ({ token, batch: [event], unknown: { key: [1] } }),
    (event: object) => ({ ...event, api_key: token }),
    (event: { properties: object }) => [{ ...event, properties: { ...event.properties, token } }],
  ];
  const headers = [
    { 'content-type': 'application/json' },
    { 'content-type': 'application/json; charset=utf-8' },
    { 'content-type': 'text/plain' },
    { 'content-type': 'nonsense' },
    {},
  ];
  const expected: string[] = [];
  let index = 0;
  for (const path of v0Paths) {
    for (const slash of ['', '/', '?retry_count=1&ip=1&_=2&ver=3&compression=gzip-js', '/?v=2']) {
      for (const body of bodies) {
        const event = seen();
        expected.push(event.uuid);
        const text = JSON.stringify(body(event));
        const form = index % 3;
        const sent =
          form === 2 ? `data=${encodeURIComponent(Buffer.from(text).toString('base64'))}` : text;
        const answer = await send(`${edge.url}${path}${slash}`, {
          headers: headers[index++ % headers.length] as Record<string, string>,
          body: form === 1 ? gzipSync(sent) : sent,
        });
        t.is(answer.status, 200, `${path}${slash} ${text}`);
        t.deepEqual(answer.body, { status: 1 });
      }
    }
  }
  const uuids = (await stored(api, projectId)).map(({ uuid }) => uuid);
  t.deepEqual(uuids.sort(), expected.sort());
});

test('v1 answers for every UUID, and reads the library from its header', async (t) => {
  const { api, projectId, projectToken } = await t.context.silo.signUp();
  const [good, bad] = [seen(), seen({ distinct_id: '' })];
  for (const slash of ['', '/']) {
    const answer = await send(`${edge.url}/i/v1/analytics/events${slash}`, {
      headers: {
        authorization: `Bearer ${projectToken}`,
        'posthog-sdk-info': 'posthog-node/5.70.0',
      },
      body: JSON.stringify({ created_at: new Date().toISOString(), batch: [good, bad] }),
    });
    t.is(answer.status, 200);
    const { results } = answer.body as { results: Record<string, { result: string }> };
    t.deepEqual(results[good.uuid], { result: 'ok' });
    t.is(results[bad.uuid]?.result, 'drop');
  }
  const [event, ...rest] = await stored(api, projectId);
  t.is(rest.length, 0);
  t.like(JSON.parse(event?.properties ?? ''), {
    $lib: 'posthog-node',
    $lib_version: '5.70.0',
    $ip: '127.0.0.1',
  });
});

test('an invalid event is named in the answer and refused alone', async (t) => {
  const { api, projectId, projectToken: token } = await t.context.silo.signUp();
  const good = seen({ properties: { text: 'x' } });
  const text = JSON.stringify({
    api_key: token,
    batch: [good, null, 7, seen({ event: '' }), seen({ uuid: 'x' })],
  });
  const answer = await send(`${edge.url}/batch/`, { body: text.replace('"x"', '"\\ud83d"') });
  t.is(answer.status, 200);
  const { refused } = answer.body as { refused: { violations: { field: string }[] }[] };
  t.deepEqual(
    refused.map(({ violations }) => violations[0]?.field),
    ['event', 'event', 'event', 'uuid'],
  );
  const [event, ...rest] = await stored(api, projectId);
  t.is(rest.length, 0);
  t.is(event?.properties, '{"text":"\\ud83d","$ip":"127.0.0.1"}');
});

test('a body that is sent twice is stored once, except for events without a UUID and a time', async (t) => {
  const { api, projectId, projectToken: token } = await t.context.silo.signUp();
  // The same event again within the body, as posthog-go sends it.
  const timed = { event: 'timed', distinct_id: 'ada', uuid: '', timestamp: new Date() };
  const batch = [seen(), timed, timed, { event: 'new', distinct_id: 'ada', uuid: '' }];
  const body = JSON.stringify({ api_key: token, batch });
  let requests = 0;
  for (const _ of [1, 2]) {
    const { answer, count } = await sendCounted(`${edge.url}/batch/`, { body });
    t.is(answer.status, 200);
    requests += count;
  }
  const names = (await stored(api, projectId)).map(({ name }) => name).sort();
  const isNew = (name: string) => name === 'new';
  t.deepEqual(
    names.filter((name) => !isNew(name)),
    ['seen', 'timed', 'timed'],
  );
  // A request that was not answered in time may have stored it, too.
  const { length } = names.filter(isNew);
  t.true(length >= 2 && length <= requests, `${length} after ${requests} requests`);
});

test('numbers, names and times are stored as they were sent', async (t) => {
  const { api, projectId, projectToken: token } = await t.context.silo.signUp();
  const properties =
    '{"u64":18446744073709551615,"big":1180591620717411303424,"d":1.10,"e":1e+21,"__proto__":1,"$where":"1","a.b":2,"$ip":"192.0.2.1"}';
  const timestamp = '2026-01-02T03:04:05.123456789+02:00';
  const body = `{"api_key":"${token}","batch":[{"event":"seen","distinct_id":"ada","timestamp":"${timestamp}","properties":${properties}}]}`;
  t.is((await send(`${edge.url}/batch/`, { body: gzipSync(body) })).status, 200);
  const [event] = await stored(api, projectId);
  t.like(event, { properties, timestamp });
});

test('a token that is unknown, malformed, missing or of a deleted project gets 401 with a reason, each time', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const unknown = newProjectToken();
  const bodies = [
    JSON.stringify({ api_key: unknown, batch: [seen()] }),
    JSON.stringify({ batch: [seen()], api_key: unknown }),
    JSON.stringify({ api_key: 'phc_malformed', batch: [seen()] }),
    JSON.stringify({ api_key: projectToken.toLowerCase(), batch: [seen()] }),
    JSON.stringify({ batch: [seen()] }),
    JSON.stringify([]),
  ];
  for (const body of bodies) {
    for (let attempt = 0; attempt < 10; attempt++) {
      const answer = await send(`${edge.url}/batch/`, {
        body: attempt % 2 ? gzipSync(body) : body,
      });
      t.is(answer.status, 401, body);
      t.is(reasonOf(answer), 'TOKEN_INVALID');
    }
  }
  t.is(
    (await send(`${edge.url}/flags/?v=2`, { body: JSON.stringify({ token: unknown }) })).status,
    401,
  );
  t.is((await send(`${edge.url}/array/${unknown}/config`, { method: 'GET' })).status, 401);
  t.is((await send(`${edge.url}/array/${unknown}/config.js`, { method: 'GET' })).status, 404);
  const post = (api_key: string) =>
    send(`${edge.url}/batch/`, { body: JSON.stringify({ api_key, batch: [seen()] }) });
  const request = { projectId, expectedFingerprint: '', requestId: '' };
  const { projectToken: next } = await api.projectTokens.regenerateProjectToken(request);
  const token = next?.token ?? '';
  t.is((await post(projectToken)).status, 401);
  t.is((await post(token)).status, 200);
  await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  t.is((await post(token)).status, 401);
});

test('a body that is not a capture gets 400 with a reason, and a decompression bomb 413', async (t) => {
  const { projectToken: token } = await t.context.silo.signUp();
  const truncated = gzipSync(JSON.stringify({ api_key: token, batch: [seen()] })).subarray(0, -12);
  for (const body of ['', '{', 'null', '7', `{"api_key":"${token}","batch":{}}`]) {
    const answer = await send(`${edge.url}/batch/`, { body });
    t.is(answer.status, 400, String(body));
    t.is(reasonOf(answer), 'INVALID_BODY');
  }
  // The last bytes of a truncated gzip are not its size: the size that is read is too large or
  // wrong.
  t.true([400, 413].includes((await send(`${edge.url}/batch/`, { body: truncated })).status));
  const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20, ' '));
  t.is((await send(`${edge.url}/batch/`, { body: bomb })).status, 413);
  // A gzip that states a wrong size.
  bomb.writeUInt32LE(1_000, bomb.length - 4);
  t.is((await send(`${edge.url}/batch/`, { body: bomb })).status, 400);
});

test('a body of 9 MB is accepted, gzip or not', async (t) => {
  const { api, projectId, projectToken: token } = await t.context.silo.signUp();
  const batch = Array.from({ length: 100 }, () =>
    seen({ properties: { text: 'x'.repeat(90_000) } }),
  );
  const body = JSON.stringify({ api_key: token, batch });
  t.true(body.length > 9_000_000);
  t.is((await send(`${edge.url}/batch/`, { body: gzipSync(body) })).status, 200);
  t.is((await send(`${edge.url}/batch/`, { body })).status, 200);
  t.is((await stored(api, projectId)).length, 100);
});

test('one body with more events than one capture accepts is stored completely', async (t) => {
  const { api, projectId, projectToken: token } = await t.context.silo.signUp();
  const batch = Array.from({ length: 2_500 }, () => seen());
  t.is(
    (
      await send(`${edge.url}/batch/`, {
        body: gzipSync(JSON.stringify({ api_key: token, batch })),
      })
    ).status,
    200,
  );
  t.is((await stored(api, projectId)).length, 2_500);
});

test('every answer to a browser allows its origin with credentials, and a preflight gets 200', async (t) => {
  const { projectToken: token } = await t.context.silo.signUp();
  const origin = 'https://app.example.com';
  const good = JSON.stringify({ api_key: token, batch: [seen()] });
  const requests: [path: string, Parameters<typeof send>[1], status: number][] = [
    ['/e/', { body: good }, 200],
    ['/e/', { body: '{' }, 400],
    ['/e/', { body: '[]' }, 401],
    ['/i/v1/analytics/events', { body: good, headers: { authorization: 'Bearer phc_x' } }, 401],
    ['/batch/', { body: gzipSync(Buffer.alloc(64 * 2 ** 20)) }, 413],
    ['/nothing', { method: 'GET' }, 404],
    ['/%ff', { method: 'GET' }, 400],
    ['/flags/?v=2', { body: JSON.stringify({ token }) }, 200],
    [`/array/${token}/config.js`, { method: 'GET' }, 200],
    ['/healthz/live', { method: 'GET' }, 200],
  ];
  for (const [path, sending, status] of requests) {
    const headers = { ...sending?.headers, origin };
    const answer = await send(`${edge.url}${path}`, { ...sending, headers });
    t.is(answer.status, status, path);
    t.is(answer.headers['access-control-allow-origin'], origin, path);
    t.is(answer.headers['access-control-allow-credentials'], 'true', path);
  }
  const preflight = await send(`${edge.url}/e/`, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,x-other',
    },
  });
  t.is(preflight.status, 200);
  t.is(preflight.headers['access-control-allow-headers'], 'content-type,x-other');
  t.regex(preflight.headers['access-control-allow-methods'] ?? '', /POST/);
});

test('app_urls, if set, are the only origins allowed to browsers; other senders are not affected', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken: token } = await silo.signUp();
  const body = JSON.stringify({ api_key: token, batch: [seen()] });
  const from = (origin?: string) =>
    send(`${edge.url}/e/`, { body, headers: origin === undefined ? {} : { origin } });
  t.is((await from('https://other.example.com')).status, 200);
  const settings = ProjectSettings.fromPartial({ appUrls: ['https://app.example.com/start'] });
  const { project } = await api.projects.getProject({ projectId });
  await api.projects.updateProject({
    project: { ...present(project), settings },
    updateMask: ['settings'],
    requestId: randomUUID(),
  });
  await eventually(async () => {
    const answer = await from('https://other.example.com');
    if (answer.status !== 403) throw new Error(`${answer.status}`);
    t.is(reasonOf(answer), 'ORIGIN_NOT_ALLOWED');
    t.is(answer.headers['access-control-allow-origin'], 'https://other.example.com');
  });
  t.is((await from('https://app.example.com')).status, 200);
  t.is((await from()).status, 200);
});

test('if the project anonymizes addresses no event has one, even if the SDK sent it', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken: token } = await silo.signUp();
  const settings = ProjectSettings.fromPartial({ anonymizeIps: true });
  const { project } = await api.projects.getProject({ projectId });
  await api.projects.updateProject({
    project: { ...present(project), settings },
    updateMask: ['settings'],
    requestId: '',
  });
  const body = JSON.stringify({ api_key: token, event: 'anonymized', distinct_id: 'ada' });
  await eventually(async () => {
    t.is((await send(`${edge.url}/e/`, { body })).status, 200);
    const [newest] = await allEvents(api, { projectId });
    if (newest?.properties !== '{}') throw new Error(newest?.properties);
  });
  const properties = '{"\\u0024ip":"192.0.2.1","n":1.0}';
  await capture(silo, token, [event({ properties })], '{"$ip":"192.0.2.2"}');
  const [newest] = await allEvents(api, { projectId });
  t.is(newest?.properties, '{"n":1.0}');
});

test('SDKs get the configuration that they request at their start', async (t) => {
  const { projectToken: token } = await t.context.silo.signUp();
  for (const path of ['/flags?v=2', '/flags/?v=2', '/decide', '/decide/?v=3']) {
    const form = `data=${encodeURIComponent(Buffer.from(JSON.stringify({ token })).toString('base64'))}`;
    for (const body of [
      JSON.stringify({ token, distinct_id: 'ada' }),
      gzipSync(JSON.stringify({ api_key: token })),
      form,
    ]) {
      const answer = await send(`${edge.url}${path}`, { body });
      t.is(answer.status, 200);
      t.like(answer.body, { flags: {}, featureFlags: {}, errorsWhileComputingFlags: false });
    }
  }
  const config = await send(`${edge.url}/array/${token}/config`, { method: 'GET' });
  t.is(config.status, 200);
  t.like(config.body, { token, supportedCompression: ['gzip', 'gzip-js'] });
  const script = await send(`${edge.url}/array/${token}/config.js`, { method: 'GET' });
  t.is(script.status, 200);
  t.regex(script.headers['content-type'] ?? '', /javascript/);
  const window: Record<string, Record<string, { config?: object }>> = {};
  new Function('window', String(script.body))(window);
  t.like(window._POSTHOG_REMOTE_CONFIG?.[token]?.config, { token });
});

test('health says whether the edge is live and ready', async (t) => {
  t.is((await send(`${edge.url}/healthz/live`, { method: 'GET' })).status, 200);
  await eventually(async () => {
    const { status } = await send(`${edge.url}/healthz/ready`, { method: 'GET' });
    if (status !== 200) throw new Error(`${status}`);
  });
  t.pass();
});
