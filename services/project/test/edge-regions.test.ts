/** How the HTTP edge handles captures of a project that migrates, with fake other regions. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { TokenAnswer, TokenPermitAnswer } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type {
  ForwardCaptureRequest,
  LocateHereResponse,
} from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { CaptureResult } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { defaultLimits } from '@silo/rpc/limits.ts';
import { type Clock, systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { createMetrics } from '@silo/runtime/metrics.ts';
import { fakeClock } from '@silo/runtime/test/fake-clock.ts';
import { hashOf, newProjectToken } from '@silo/tokens/secrets.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { Storing } from '../capture/storing.ts';
import { type EdgeDependencies, openEdge } from '../edge/edge.ts';

const token = newProjectToken();
const times = { headersMs: 300_000, requestMs: 300_000, checkMs: 20, keepAliveMs: 300_000 };

const allowed: TokenPermitAnswer = {
  ...{ allowed: true, projectId: 'prj_1', organizationId: 'org_1' },
  project: ProjectFact.fromPartial({}),
  permit: { release: () => {}, remainingMs: () => 300_000 },
};

function refusal(reason: ErrorReason, detail = ''): Extract<TokenAnswer, { allowed: false }> {
  return { allowed: false, refusal: { reason, detail } };
}
const held = refusal(ErrorReason.ERROR_REASON_NOT_READY);
const dead = refusal(ErrorReason.ERROR_REASON_TOKEN_INVALID);
const inRegion = (region: string) => refusal(ErrorReason.ERROR_REASON_CROSS_REGION, region);

const nowhere: LocateHereResponse = { region: '', projectId: '' };
const staying = ProjectFact.fromPartial({ state: ProjectState.PROJECT_STATE_ACTIVE });
const leftFor = (region: string) =>
  ProjectFact.fromPartial({
    state: ProjectState.PROJECT_STATE_MIGRATED,
    migratedTo: { region, organizationId: 'org_eu_1' },
  });

type Peer = (request: ForwardCaptureRequest) => Promise<void>;
type Use = { library: string; origin: string; forwardedRegion?: string; projectId?: string };

/** An edge whose guard gives these answers; the last one is repeated. */
async function open(
  t: ExecutionContext,
  answers: readonly TokenPermitAnswer[],
  {
    peers = {},
    locate = async () => nowhere,
    waitMs = 300_000,
    heldBytesMax = 32 * 2 ** 20,
    clock = systemClock,
  }: {
    peers?: Record<string, Peer>;
    /** Results of the regions for tokens that this region does not know. */
    locate?: (region: string) => Promise<LocateHereResponse>;
    waitMs?: number;
    heldBytesMax?: number;
    clock?: Clock;
  } = {},
) {
  const left = [...answers];
  const answer = () => (left.length > 1 ? left.shift() : left[0]) ?? dead;
  const stored: string[] = [];
  const [refused, forwarded]: [Use[], Use[]] = [[], []];
  const asked = { count: 0 };
  const passed: Record<string, ForwardCaptureRequest[]> = {};
  const regions: EdgeDependencies['regions'] = new Map(
    Object.entries(peers).map(([region, peer]) => {
      const forwardCapture = async (request: ForwardCaptureRequest) => {
        await peer(request);
        const result = CaptureResult.CAPTURE_RESULT_STORED;
        const events = request.capture?.events ?? [];
        if (events.length > 0) passed[region] = [...(passed[region] ?? []), request];
        return { outcomes: events.map(({ uuid }) => ({ uuid, result, violations: [] })) };
      };
      const locateHere = async () => {
        asked.count++;
        return await locate(region);
      };
      return [region, { forwardCapture, locateHere }];
    }),
  );
  const insert: ConstructorParameters<typeof Storing>[0]['insert'] = async (batches) =>
    batches.map(({ events }) => {
      stored.push(...events.map(({ uuid }) => uuid));
      return events.map(() => false);
    });
  const edge = await openEdge(
    {
      address: { host: '127.0.0.1', port: 0 },
      ...{ trustedProxies: [], heldBytesMax, limits: defaultLimits, times: { ...times, waitMs } },
    },
    {
      metrics: createMetrics({ service: 'project', region: 'us' }),
      ...{ clock, log: silentLogger(), regions },
      access: {
        recallToken: () => left[0],
        permitToken: async () => answer(),
        verifyToken: async () => answer(),
      },
      projects: { fact: async (id) => (id === 'prj_1' ? leftFor('eu') : staying) },
      migratingProjects: { haveAnyLeft: async () => true },
      directory: { findTokenProjects: async () => ({ tokens: [] }) },
      capture: { storing: new Storing({ insert }), clock: systemClock },
      onDeadToken: ({ tokenHash, ...use }) => {
        t.true(hashOf(token).equals(tokenHash));
        if (use.forwardedRegion === undefined) refused.push(use);
        else forwarded.push(use);
      },
    },
  );
  t.teardown(() => edge[Symbol.asyncDispose]());
  const post = async (path: string, body: object, headers: Record<string, string> = {}) =>
    await fetch(`http://${edge.address}${path}`, {
      ...{ method: 'POST', body: JSON.stringify(body) },
      headers: { 'user-agent': 'posthog-node/5', ...headers },
    });
  const capture = async (events: object[], headers?: Record<string, string>) =>
    await post('/batch', { api_key: token, batch: events }, headers);
  return {
    url: `http://${edge.address}`,
    post,
    capture,
    stored,
    refused,
    forwarded,
    passed,
    asked,
  };
}

function event(properties: object = {}) {
  return { event: 'seen', distinct_id: 'ada', uuid: randomUUID(), properties };
}

const fine: Peer = async () => {};

test('captures wait while the project is cut over, and are stored here if it stays', async (t) => {
  const edge = await open(t, [held, held, held, allowed]);
  const sent = event();
  t.is((await edge.capture([sent])).status, 200);
  t.deepEqual(edge.stored, [sent.uuid]);
  t.deepEqual([edge.refused, edge.forwarded], [[], []]);
});

test('waiting captures are forwarded when the project is in another region, and counted once', async (t) => {
  const edge = await open(t, [held, held, inRegion('eu')], { peers: { eu: fine } });
  const sent = [event(), event()];
  const origin = 'https://app.example.com';
  t.is((await edge.capture(sent, { origin })).status, 200);
  const [request, ...others] = edge.passed.eu ?? [];
  t.deepEqual(others, []);
  t.like(request, { token, origin, library: 'posthog-node/5' });
  t.deepEqual(
    request?.capture?.events.map(({ uuid }) => uuid),
    sent.map(({ uuid }) => uuid),
  );
  t.deepEqual(edge.forwarded, [{ library: 'posthog-node/5', origin, forwardedRegion: 'eu' }]);
  t.deepEqual([edge.stored, edge.refused], [[], []]);
});

test('a secret in a header is not forwarded, even if the header is cut', async (t) => {
  const edge = await open(t, [inRegion('eu')], { peers: { eu: fine } });
  const headers = {
    origin: 'https://app.example.com',
    'user-agent': `${'x'.repeat(1_960)} ${token}`,
  };
  t.is((await edge.capture([event()], headers)).status, 200);
  t.like(edge.passed.eu?.[0], {
    origin: headers.origin,
    library: `${'x'.repeat(1_960)} [redacted]`,
  });
});

test('v1 returns the results of the other region, event by event', async (t) => {
  const edge = await open(t, [inRegion('eu')], { peers: { eu: fine } });
  const sent = [event(), event()];
  const answer = await edge.post('/i/v1/analytics/events', { api_key: token, batch: sent });
  t.deepEqual(await answer.json(), {
    results: Object.fromEntries(sent.map(({ uuid }) => [uuid, { result: 'ok' }])),
  });
});

test('captures follow a project to its next region, once', async (t) => {
  const moved = () => Promise.reject(errors.projectMigrated('ap', ''));
  const edge = await open(t, [inRegion('eu')], { peers: { eu: moved, ap: fine } });
  t.is((await edge.capture([event()])).status, 200);
  t.is(edge.passed.ap?.length, 1);
  t.is(edge.forwarded[0]?.forwardedRegion, 'ap');
});

test('captures that another region held are forwarded concurrently when the project has left that region', async (t) => {
  const count = 5;
  const together = Promise.withResolvers<void>();
  let [calls, waiting] = [0, 0];
  const eu: Peer = async () => {
    if (++calls === 1) throw errors.notReady('the project');
    if (calls > 2) {
      if (++waiting === count) together.resolve();
      await together.promise;
    }
    throw errors.projectMigrated('ap', '');
  };
  const edge = await open(t, [inRegion('eu')], { peers: { eu, ap: fine } });
  t.is((await edge.capture([event()])).status, 200);
  const sent = Array.from({ length: count }, () => edge.capture([event()]));
  const answers = await Promise.all(sent);
  t.deepEqual(
    answers.map(({ status }) => status),
    answers.map(() => 200),
  );
});

test('captures of a project that has come back are stored here', async (t) => {
  const back = () => Promise.reject(errors.projectMigrated('us', ''));
  const edge = await open(t, [inRegion('eu'), inRegion('eu'), allowed], { peers: { eu: back } });
  t.is((await edge.capture([event()])).status, 200);
  t.is(edge.stored.length, 1);
});

test('captures wait for a region that is not ready, or does not answer', async (t) => {
  const failures = [
    errors.notReady('the project'),
    new Error('14 UNAVAILABLE: no connection'),
    errors.rateLimited('project', 1),
  ];
  const peer = async () => {
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
  };
  const edge = await open(t, [inRegion('eu')], { peers: { eu: peer } });
  t.is((await edge.capture([event()])).status, 200);
  t.is(edge.passed.eu?.length, 1);
});

test('captures that another region holds are sent there once; one at a time asks until it accepts them', async (t) => {
  const sent = new Map<string, number>();
  let [calls, asking, askingMax] = [0, 0, 0];
  const peer: Peer = async ({ capture }) => {
    const events = capture?.events ?? [];
    for (const { uuid } of events) sent.set(uuid, (sent.get(uuid) ?? 0) + 1);
    const isHeld = ++calls <= 15;
    if (events.length === 0) askingMax = Math.max(askingMax, ++asking);
    await new Promise(setImmediate);
    if (events.length === 0) asking--;
    if (isHeld) throw errors.notReady('the project');
  };
  const edge = await open(t, [inRegion('eu')], { peers: { eu: peer } });
  const events = Array.from({ length: 5 }, () => event());
  const answers = await Promise.all(events.map((each) => edge.capture([each])));
  t.deepEqual(
    answers.map(({ status }) => status),
    events.map(() => 200),
  );
  t.is(edge.passed.eu?.length, 5);
  t.true(Math.max(...sent.values()) <= 2);
  t.is(askingMax, 1);
});

test('captures that wait for an older release, which refuses captures without events, are forwarded', async (t) => {
  const none = { field: 'events', description: 'must have 1-1000 events' };
  let isHeld = true;
  const peer: Peer = async ({ capture }) => {
    if (!isHeld && capture?.events.length === 0) throw errors.invalidField([none]);
    const wasHeld = isHeld;
    isHeld = false;
    if (wasHeld) throw errors.notReady('the project');
  };
  const edge = await open(t, [inRegion('eu')], { peers: { eu: peer } });
  t.is((await edge.capture([event()])).status, 200);
  t.is(edge.passed.eu?.length, 1);
});

test('a capture that waits for another region follows the project from there; a dead token is refused', async (t) => {
  for (const [error, expected] of [
    [errors.projectMigrated('ap', ''), 200],
    [errors.tokenInvalid(), 401],
  ] as const) {
    let calls = 0;
    const peer: Peer = async () => {
      throw ++calls === 1 ? errors.notReady('the project') : error;
    };
    const edge = await open(t, [inRegion('eu')], { peers: { eu: peer, ap: fine } });
    t.is((await edge.capture([event()])).status, expected);
    t.is(calls, 2);
  }
});

test('a capture that waits too long gets 503 with Retry-After and the reason', async (t) => {
  for (const [answer, reason] of [
    [held, 'NOT_READY'],
    [inRegion('eu'), 'DEPENDENCY_UNAVAILABLE'],
  ] as const) {
    const edge = await open(t, [answer], { waitMs: 300 });
    const refused = await edge.capture([event()]);
    t.is(refused.status, 503);
    t.is(refused.headers.get('retry-after'), '1');
    t.like(await refused.json(), { error: { reason } });
  }
});

test('requests get 503 instead of waiting if they would take the memory of others', async (t) => {
  const edge = await open(t, [held], { heldBytesMax: 100_000 });
  const refused = await edge.capture([event({ text: 'x'.repeat(60_000) })]);
  t.is(refused.status, 503);
  t.like(await refused.json(), { error: { reason: 'NOT_READY' } });
});

test('a token that has ended in the other region gets 401, and an origin that it refuses 403', async (t) => {
  const ended = () => Promise.reject(errors.tokenInvalid());
  const edge = await open(t, [inRegion('eu')], { peers: { eu: ended } });
  t.is((await edge.capture([event()])).status, 401);
  t.deepEqual(edge.refused, [{ library: 'posthog-node/5', origin: '' }]);
  const field = { field: 'origin', description: 'is none of these' };
  const strict = () => Promise.reject(errors.invalidField([field]));
  const other = await open(t, [inRegion('eu')], { peers: { eu: strict } });
  const answer = await other.capture([event()], { origin: 'https://evil.example' });
  t.is(answer.status, 403);
  t.like(await answer.json(), { error: { reason: 'ORIGIN_NOT_ALLOWED' } });
});

test('a large request is forwarded in parts; an event that exceeds a message is refused alone', async (t) => {
  const edge = await open(t, [inRegion('eu')], { peers: { eu: fine } });
  const small = Array.from({ length: 8 }, () => event({ text: 'x'.repeat(900_000) }));
  const large = event({ text: 'x'.repeat(5_000_000) });
  const answer = await edge.capture([...small, large]);
  t.is(answer.status, 200);
  const { refused } = (await answer.json()) as { refused: { uuid: string }[] };
  t.deepEqual(
    refused.map(({ uuid }) => uuid),
    [large.uuid],
  );
  const parts = edge.passed.eu ?? [];
  t.deepEqual(
    parts.flatMap(({ capture }) => capture?.events.map(({ uuid }) => uuid) ?? []),
    small.map(({ uuid }) => uuid),
  );
  t.true(parts.length > 1);
  t.is(edge.forwarded.length, 1);
});

test('start-up requests of SDKs succeed while a project migrates, and afterwards', async (t) => {
  for (const answer of [held, inRegion('eu')]) {
    const edge = await open(t, [answer]);
    t.is((await edge.post('/flags', { token })).status, 200);
    t.is((await edge.post('/decide', { token })).status, 200);
    t.is((await fetch(`${edge.url}/array/${token}/config`)).status, 200);
    t.is((await fetch(`${edge.url}/array/${token}/config.js`)).status, 200);
    t.deepEqual(edge.refused, []);
  }
  const edge = await open(t, [dead]);
  t.is((await edge.post('/flags', { token })).status, 401);
});

test('captures with a token that was regenerated after the migration are forwarded after one look-up', async (t) => {
  const locate = async () => ({ region: 'eu', projectId: 'prj_1' });
  const edge = await open(t, [dead], { peers: { eu: fine }, locate });
  const statuses = await Promise.all(
    [1, 2, 3].map(async () => (await edge.capture([event()])).status),
  );
  t.deepEqual(statuses, [200, 200, 200]);
  t.is((await edge.post('/flags', { token })).status, 200);
  t.is(edge.passed.eu?.length, 3);
  const use = { library: 'posthog-node/5', origin: '', forwardedRegion: 'eu', projectId: 'prj_1' };
  t.deepEqual(edge.forwarded, [use, use, use], 'only the other region knows whose token it is');
  t.is(edge.asked.count, 1);
  t.deepEqual(edge.refused, []);
});

test('a token of no region, or of a project that was never here, gets 401 after one look-up', async (t) => {
  for (const place of [nowhere, { region: 'eu', projectId: 'prj_2' }]) {
    const edge = await open(t, [dead], { peers: { eu: fine }, locate: async () => place });
    t.is((await edge.capture([event()])).status, 401);
    t.is((await edge.capture([event()])).status, 401);
    t.is(edge.asked.count, 1);
    t.is(edge.refused.length, 2);
    t.deepEqual(edge.passed, {});
  }
});

test('captures of a project that is deleted and undeleted in its region are forwarded immediately', async (t) => {
  let isDeleted = true;
  const peer = async () => {
    if (isDeleted) throw errors.tokenInvalid();
  };
  const edge = await open(t, [inRegion('eu')], { peers: { eu: peer } });
  t.is((await edge.capture([event()])).status, 401);
  isDeleted = false;
  t.is((await edge.capture([event()])).status, 200);
});

test('a token that its region refuses is also refused here, and forwarded again after 5 s', async (t) => {
  const clock = fakeClock();
  const locate = async () => ({ region: 'eu', projectId: 'prj_1' });
  let isDeleted = true;
  let calls = 0;
  const peer = async () => {
    calls++;
    if (isDeleted) throw errors.tokenInvalid();
  };
  const edge = await open(t, [dead], { peers: { eu: peer }, locate, clock });
  t.is((await edge.capture([event()])).status, 401);
  isDeleted = false;
  clock.advance(4_999);
  t.is((await edge.capture([event()])).status, 401);
  t.deepEqual([calls, edge.asked.count], [1, 1]);
  clock.advance(1);
  t.is((await edge.capture([event()])).status, 200);
});

test('a token that no region knows after its project has come back gets 401 immediately', async (t) => {
  let place: LocateHereResponse = { region: 'eu', projectId: 'prj_1' };
  let isBack = false;
  const peer = async () => {
    if (isBack) throw errors.projectMigrated('us', '');
  };
  const options = { peers: { eu: peer }, locate: async () => place, clock: fakeClock() };
  const edge = await open(t, [dead], { ...options, waitMs: 3_000 });
  t.is((await edge.capture([event()])).status, 200);
  isBack = true;
  place = nowhere;
  t.is((await edge.capture([event()])).status, 401);
  t.is(edge.asked.count, 2);
});

test('captures get 503 while a region does not answer whether it has their token', async (t) => {
  const locate = () => Promise.reject(new Error('14 UNAVAILABLE: no connection'));
  const edge = await open(t, [dead], { peers: { eu: fine }, locate, waitMs: 300 });
  const refused = await edge.capture([event()]);
  t.is(refused.status, 503);
  t.like(await refused.json(), { error: { reason: 'DEPENDENCY_UNAVAILABLE' } });
});

test('a token that one region has is forwarded, although another one does not answer', async (t) => {
  const locate = async (region: string) => {
    if (region === 'eu') return { region, projectId: 'prj_1' };
    throw new Error('14 UNAVAILABLE: no connection');
  };
  const edge = await open(t, [dead], { peers: { ap: fine, eu: fine }, locate });
  t.is((await edge.capture([event()])).status, 200);
  t.is(edge.passed.eu?.length, 1);
});

test('a token whose project comes back during the calls to other regions is not refused', async (t) => {
  const locate = async () => ({ region: 'us', projectId: 'prj_1' });
  const edge = await open(t, [dead, held, allowed], { peers: { eu: fine }, locate });
  const sent = event();
  t.is((await edge.capture([sent])).status, 200);
  t.deepEqual(edge.stored, [sent.uuid]);
  t.deepEqual([edge.refused, edge.asked.count], [[], 1]);
});

test('all unconfirmed tokens share the memory of one project for waiting', async (t) => {
  let isAway = true;
  const locate = async () => {
    if (isAway) throw new Error('14 UNAVAILABLE: no connection');
    return { region: 'eu', projectId: 'prj_1' };
  };
  const options = { peers: { eu: fine }, locate, heldBytesMax: 100_000 };
  const edge = await open(t, [dead], options);
  const first = edge.capture([event({ text: 'x'.repeat(20_000) })]);
  // A second call shows that the capture was refused, and waits.
  await eventually(() => assert.ok(edge.asked.count >= 2));
  const second = await edge.post('/batch', { api_key: newProjectToken(), batch: [event()] });
  t.is(second.status, 503);
  t.like(await second.json(), { error: { reason: 'DEPENDENCY_UNAVAILABLE' } });
  isAway = false;
  t.is((await first).status, 200);
});

test('requests that wait for the look-up of a token in other regions take no memory of others', async (t) => {
  const locate = () => Promise.reject(new Error('14 UNAVAILABLE: no connection'));
  const options = { peers: { eu: fine }, locate, heldBytesMax: 100_000 };
  const edge = await open(t, [dead], options);
  const refused = await edge.capture([event({ text: 'x'.repeat(60_000) })]);
  t.is(refused.status, 503);
  t.like(await refused.json(), { error: { reason: 'DEPENDENCY_UNAVAILABLE' } });
  t.is(edge.asked.count, 1);
});
