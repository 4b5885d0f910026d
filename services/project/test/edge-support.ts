/** An HTTP edge without a database, and raw clients of it. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TokenPermitAnswer } from '@silo/access/access.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { defaultLimits } from '@silo/rpc/limits.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { type Log, silentLogger } from '@silo/runtime/log.ts';
import { createMetrics } from '@silo/runtime/metrics.ts';
import type { ExecutionContext } from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { Storing } from '../capture/storing.ts';
import { type EdgeDependencies, type EdgeTimes, openEdge } from '../edge/edge.ts';

export const host = '127.0.0.1';
/** Longer than any test: each test sets the timeout that it checks. */
const long: EdgeTimes = {
  headersMs: 300_000,
  requestMs: 300_000,
  checkMs: 20,
  keepAliveMs: 300_000,
  waitMs: 300_000,
};

type Opened = {
  port: number;
  heldBytes(): Promise<number>;
  /** The counts of refused requests, and of refusals by the listener, by their labels. */
  refusals(): Promise<Record<string, number>>;
};
export type Insert = ConstructorParameters<typeof Storing>[0]['insert'];

export const dead: TokenPermitAnswer = {
  allowed: false,
  refusal: { reason: ErrorReason.ERROR_REASON_TOKEN_INVALID, detail: '' },
};

const unexpected = async () => {
  throw new Error('this test sends no whole capture');
};

/** An edge that accepts no token unless `permitToken` does. */
export async function open(
  t: ExecutionContext,
  {
    times = {},
    limits = {},
    trustedProxies = [],
    recallToken = () => undefined,
    permitToken = unexpected,
    verifyToken = unexpected,
    insert = unexpected,
    clock = systemClock,
    log = silentLogger(),
  }: {
    times?: Partial<EdgeTimes>;
    limits?: Partial<typeof defaultLimits>;
    trustedProxies?: string[];
    recallToken?: EdgeDependencies['access']['recallToken'];
    permitToken?: EdgeDependencies['access']['permitToken'];
    verifyToken?: EdgeDependencies['access']['verifyToken'];
    insert?: Insert;
    clock?: typeof systemClock;
    log?: Log;
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
      ...{ metrics, clock, log, onDeadToken: () => {} },
      access: { recallToken, permitToken, verifyToken },
      capture: { storing: new Storing({ insert }), clock: systemClock },
      ...{ regions: new Map(), projects: { fact: async () => undefined } },
      migratingProjects: { haveAnyLeft: unexpected },
      directory: { findTokenProjects: unexpected },
    },
  );
  t.teardown(() => edge[Symbol.asyncDispose]());
  const heldBytes = async () => {
    const held = await metrics.getSingleMetric('silo_edge_held_bytes')?.get();
    return held?.values[0]?.value ?? Number.NaN;
  };
  const refusals = async () => {
    const names = ['silo_edge_refusals_total', 'silo_listener_refusals_total'];
    const read = names.map(async (name) => await metrics.getSingleMetric(name)?.get());
    const values = (await Promise.all(read)).flatMap((each) => each?.values ?? []);
    return Object.fromEntries(
      values.map(({ labels, value }) => [
        `${labels.status ?? labels.listener} ${labels.reason}`,
        value,
      ]),
    );
  };
  return { port: Number(edge.address.split(':').at(-1)), heldBytes, refusals };
}

/** A connection, the data received on it, and its end. */
export function connectTo(t: ExecutionContext, port: number, localAddress = host) {
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

export const live = `GET /healthz/live HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

/** Sends single bytes while the other side accepts them. */
export function drip(t: ExecutionContext, socket: Socket, byte: string): void {
  const timer = setInterval(() => socket.write(byte), 10);
  t.teardown(() => clearInterval(timer));
}

export function ended(seen: { text: string; isEnded: boolean }): Promise<string> {
  return eventually(() => {
    if (!seen.isEnded) throw new Error(`the connection is open: ${seen.text}`);
    return seen.text;
  });
}

/** Sends a body from an address, and returns the status and the reason. */
export async function post(port: number, path: string, body: string | Buffer, localAddress = host) {
  const options = { host, port, path, localAddress, method: 'POST', agent: false };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  httpRequest(options, resolve).on('error', reject).end(body);
  const response = await promise;
  const { error } = JSON.parse(await text(response)) as { error?: { reason: string } };
  return [response.statusCode, error?.reason];
}
