import type { PortLimits } from '@silo/rpc/limits.ts';
import { RateLimits } from '@silo/rpc/rate-limits.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import { formatHostPort, type HostPort } from '@silo/runtime/config.ts';
import { createListenerRefusals } from '@silo/runtime/listener-refusals.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { Metrics } from '@silo/runtime/metrics.ts';
import { captureWaitMsMax } from '../rules/cutover-times.ts';
import type { EdgeCaptureDependencies } from './capture.ts';
import { addCaptureRoutes } from './capture-routes.ts';
import { measureEdge } from './edge-metrics.ts';
import { HeldBytes } from './held-bytes.ts';
import { HeldElsewhere } from './held-elsewhere.ts';
import { HttpRefusal } from './http-refusal.ts';
import { createHttpServer, type HttpServerTimes } from './http-server.ts';
import { limitUnread } from './limit-unread.ts';
import { addStartUpRoutes } from './start-up-routes.ts';
import { TokenGate, type TokenGateDependencies } from './token-gate.ts';
import { TokensElsewhere, type TokensElsewhereDependencies } from './tokens-elsewhere.ts';

/** Settings of the HTTP edge. */
export type EdgeSettings = {
  address: HostPort;
  /** Proxies whose `X-Forwarded-For` names the client: addresses or CIDRs. */
  trustedProxies: readonly string[];
  /** Maximum memory of the bodies of all requests. */
  heldBytesMax: number;
  limits: PortLimits;
  /** Only for tests; default: `edgeTimes`. */
  times?: EdgeTimes;
};

/** Timeouts of the edge for slow clients and for MongoDB. */
export type EdgeTimes = HttpServerTimes & {
  /** Maximum time that a request waits; transient errors are retried within it. */
  waitMs: number;
};

export type EdgeDependencies = Pick<TokenGateDependencies, 'access' | 'onDeadToken'> &
  Pick<EdgeCaptureDependencies, 'capture'> &
  Pick<TokensElsewhereDependencies, 'projects' | 'migratingProjects' | 'directory'> & {
    /** Clients of the project service in the other regions. */
    regions: EdgeCaptureDependencies['regions'] & TokensElsewhereDependencies['regions'];
    metrics: Metrics;
    clock: Clock;
    log: Log;
  };

/** An HTTP server that takes events of SDKs. Disposing of it drains it. */
export type Edge = AsyncDisposable & {
  /** The bound address, as `host:port`. */
  address: string;
  /** Sets whether MongoDB responds. */
  setServing(isServing: boolean): void;
  /** Refuses new requests with 503, and resolves when the admitted ones have their responses. */
  drain(): Promise<void>;
};

const edgeTimes: EdgeTimes = {
  headersMs: 10_000,
  requestMs: 60_000,
  checkMs: 5_000,
  // Longer than the idle times of common load balancers, so that these close first.
  keepAliveMs: 75_000,
  waitMs: captureWaitMsMax,
};

/** Opens the HTTP edge. Rejects if its address cannot be bound. */
export async function openEdge(
  settings: EdgeSettings,
  dependencies: EdgeDependencies,
): Promise<Edge> {
  const { address, limits, times = edgeTimes } = settings;
  const { clock, log } = dependencies;
  const { waitMs } = times;
  const held = new HeldBytes(settings.heldBytesMax);
  const rates = new RateLimits(limits.rates);
  const gate = new TokenGate({
    ...dependencies,
    rates,
    elsewhere: new TokensElsewhere(dependencies),
  });
  const metrics = measureEdge(dependencies.metrics, held);
  const state = { isServing: false, isDraining: false };
  const reportListener = createListenerRefusals('edge', dependencies);
  const http = { state, metrics, reportListener, log };
  const app = await createHttpServer({ ...settings, times }, http);
  limitUnread(app, { held, clock });
  const heldElsewhere = new HeldElsewhere(clock);
  addCaptureRoutes(app, {
    ...dependencies,
    gate,
    rates,
    held,
    heldElsewhere,
    metrics,
    clock,
    waitMs,
  });
  addStartUpRoutes(app, { gate, held, rates });
  app.get('/healthz/live', async () => ({ status: 'live' }));
  app.get('/healthz/ready', async () => {
    if (!state.isServing) throw new HttpRefusal(503, 'NOT_SERVING', 'MongoDB does not respond.');
    return { status: 'ready' };
  });
  await app.listen({ host: address.host, port: address.port });
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
  let drained: Promise<void> | undefined;
  const drain = () => {
    state.isDraining = true;
    drained ??= app.close();
    return drained;
  };
  return {
    address: formatHostPort({ host: address.host, port }),
    setServing: (isServing) => {
      state.isServing = isServing;
    },
    drain,
    [Symbol.asyncDispose]: drain,
  };
}
