/** Slow and too many clients of the HTTP edge, and what they hold: no database is behind it. */
import { connect, type Socket } from 'node:net';
import type { TokenPermitAnswer } from '@silo/access/access.ts';
import { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { defaultLimits } from '@silo/rpc/limits.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { createMetrics } from '@silo/runtime/metrics.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { type EdgeTimes, type EdgeUses, openEdge } from '../edge/edge.ts';
import { Storing } from '../handlers/shared/storing.ts';

const host = '127.0.0.1';
/** Of which no test lasts so long: each sets the one that it is about. */
const long: EdgeTimes = {
  headersMs: 300_000,
  requestMs: 300_000,
  checkMs: 20,
  keepAliveMs: 300_000,
  holdMs: 300_000,
};

type Opened = { port: number; heldBytes(): Promise<number> };
type Insert = ConstructorParameters<typeof Storing>[0]['insert'];

const unexpected = async () => {
  throw new Error('this test sends no whole capture');
};

/** An edge that accepts no token, unless `permitToken` does. */
async function open(
  t: ExecutionContext,
  {
    times = {},
    limits = {},
    trustedProxies = [],
    permitToken = unexpected,
    insert = unexpected,
  }: {
    times?: Partial<EdgeTimes>;
    limits?: Partial<typeof defaultLimits>;
    trustedProxies?: string[];
    permitToken?: EdgeUses['access']['permitToken'];
    insert?: Insert;
  } = {},
): Promise<Opened> {
  const metrics = createMetrics({ service: 'project', region: 'us' });
  const edge = await openEdge(
    {
      ...{ address: { host, port: 0 }, trustedProxies, heldBytesMax: 32 * 2 ** 20 },
      limits: { ...defaultLimits, ...limits },
      times: { ...long, ...times },
    },
    {
      ...{ metrics, clock: systemClock, log: silentLogger(), onTokenRefused: () => {} },
      access: { recallToken: () => undefined, permitToken, verifyToken: unexpected },
      capture: { storing: new Storing({ insert }), clock: systemClock },
    },
  );
  t.teardown(() => edge[Symbol.asyncDispose]());
  const heldBytes = async () => {
    const held = await metrics.getSingleMetric('silo_edge_held_bytes')?.get();
    return held?.values[0]?.value ?? Number.NaN;
  };
  return { port: Number(edge.address.split(':').at(-1)), heldBytes };
}

/** A connection, what came over it, and its end. */
function connectTo(t: ExecutionContext, port: number, localAddress = host) {
  const socket: Socket = connect({ host, port, localAddress, allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  const seen = { text: '', isEnded: false, isClosed: false };
  socket.on('data', (data) => {
    seen.text += data;
  });
  socket.on('end', () => {
    seen.isEnded = true;
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    seen.isClosed = true;
  });
  return { socket, seen };
}

const live = `GET /healthz/live HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

/** Sends one byte after the other, for as long as the other side takes them. */
function drip(t: ExecutionContext, socket: Socket, byte: string): void {
  const timer = setInterval(() => socket.write(byte), 10);
  t.teardown(() => clearInterval(timer));
}

function ended(seen: { text: string; isEnded: boolean }): Promise<string> {
  return eventually(() => {
    if (!seen.isEnded) throw new Error(`the connection is open: ${seen.text}`);
    return seen.text;
  });
}

const slow =
  /^HTTP\/1\.1 503 [\s\S]*Retry-After: 1\r\n[\s\S]*Connection: close\r\n[\s\S]*REQUEST_TIMEOUT/;

test('a client whose headers take too long gets 503 with Retry-After, and its connection is closed', async (t) => {
  const { port } = await open(t, { times: { headersMs: 200 } });
  const { socket, seen } = connectTo(t, port);
  socket.write('POST /batch/ HTTP/1.1\r\nX: ');
  drip(t, socket, 'x');
  t.regex(await ended(seen), slow);
  await eventually(() => {
    if (!seen.isClosed) throw new Error('it is open');
  });
});

test('a client whose body takes too long gets 503 with Retry-After, and what it held is free', async (t) => {
  const { port, heldBytes } = await open(t, { times: { requestMs: 400, headersMs: 400 } });
  const { socket, seen } = connectTo(t, port);
  const part = ' '.repeat(1_000_000);
  socket.write(
    `POST /batch/ HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${2 * part.length}\r\n\r\n`,
  );
  socket.write(part);
  drip(t, socket, ' ');
  t.regex(await ended(seen), slow);
  await eventually(async () => {
    const held = await heldBytes();
    if (held > 0) throw new Error(`${held} bytes are held`);
  });
  // It goes on sending, and does not end its side.
  await eventually(() => {
    if (!seen.isClosed) throw new Error('it is open');
  });
});

/** A permit that is never over. */
const permitted: TokenPermitAnswer = {
  ...{ allowed: true, projectId: 'prj_1', organizationId: 'org_1' },
  project: ProjectFact.fromPartial({}),
  permit: { isHeld: () => true, release: () => {}, remainingMs: () => 300_000 },
};

test('a request that is answered with 503 holds its bytes until its events are not being stored any more', async (t) => {
  const storing = Promise.withResolvers<boolean[][]>();
  const { port, heldBytes } = await open(t, {
    times: { holdMs: 100 },
    permitToken: async () => permitted,
    insert: () => storing.promise,
  });
  const text = 'x'.repeat(100_000);
  const body = JSON.stringify({
    ...{ api_key: 'phc_1', event: 'seen', distinct_id: 'ada', properties: { text } },
  });
  const answer = await fetch(`http://${host}:${port}/capture`, { method: 'POST', body });
  t.is(answer.status, 503);
  t.true((await heldBytes()) > text.length);
  storing.resolve([[false]]);
  await eventually(async () => {
    const held = await heldBytes();
    if (held > 0) throw new Error(`${held} bytes are held`);
  });
});

test('a connection without requests is closed', async (t) => {
  const { port } = await open(t, { times: { keepAliveMs: 100 } });
  const { socket, seen } = connectTo(t, port);
  socket.write(live);
  t.regex(await ended(seen), /^HTTP\/1\.1 200 /);
});

test('headers of more than 16 KiB get 400, and their connection is closed', async (t) => {
  const { port } = await open(t);
  const { socket, seen } = connectTo(t, port);
  socket.write(`GET /healthz/live HTTP/1.1\r\nHost: ${host}\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`);
  t.regex(await ended(seen), /^HTTP\/1\.1 400 /);
});

/** Opens connections of which each has got an answer. */
async function openAnswered(t: ExecutionContext, port: number, count: number, localAddress = host) {
  const opened = Array.from({ length: count }, () => connectTo(t, port, localAddress));
  for (const { socket } of opened) socket.write(live);
  for (const { seen } of opened) {
    await eventually(() => {
      if (!seen.text.startsWith('HTTP/1.1 200 ')) throw new Error(`no answer: ${seen.text}`);
    });
  }
  return opened;
}

/** Demands that one connection more is closed without an answer. */
async function demandDropped(t: ExecutionContext, port: number): Promise<void> {
  const { socket, seen } = connectTo(t, port);
  socket.write(live);
  await eventually(() => {
    if (!seen.isEnded && !seen.isClosed) throw new Error('it is open');
  });
  t.is(seen.text, '');
}

const rows: [string, Parameters<typeof open>[1], readonly string[]][] = [
  ['of the port', { limits: { connectionsMax: 4 } }, ['127.0.0.2']],
  ['of an address', { limits: { connectionsPerAddressMax: 4 } }, []],
];
for (const [what, settings, others] of rows) {
  test(`one connection ${what} too many is dropped; when another ends the next is served`, async (t) => {
    const { port } = await open(t, settings);
    const [first] = await openAnswered(t, port, 4 - others.length);
    for (const other of others) await openAnswered(t, port, 1, other);
    await demandDropped(t, port);
    if (others.length === 0) await openAnswered(t, port, 1, '127.0.0.2');
    first?.socket.destroy();
    await eventually(() => openOne(t, port));
    t.pass();
  });
}

/** Rejects where the connection is dropped. */
async function openOne(t: ExecutionContext, port: number): Promise<void> {
  const { socket, seen } = connectTo(t, port);
  socket.write(live);
  await eventually(() => {
    if (seen.text === '' && !seen.isEnded && !seen.isClosed) throw new Error('no answer yet');
  });
  if (!seen.text.startsWith('HTTP/1.1 200 ')) throw new Error('it was dropped');
}

test('behind a trusted proxy no address has a limit of connections', async (t) => {
  const settings = { limits: { connectionsPerAddressMax: 1 }, trustedProxies: [host] };
  const { port } = await open(t, settings);
  await openAnswered(t, port, 3);
  t.pass();
});
