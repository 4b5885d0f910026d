import { randomUUID } from 'node:crypto';
import type { Access } from '@silo/access/access.ts';
import { connectNats } from '@silo/events/connect.ts';
import { measureNats } from '@silo/events/nats-metrics.ts';
import { runRelay } from '@silo/events/relay.ts';
import { measureRelay } from '@silo/events/relay-metrics.ts';
import { Guard } from '@silo/guard/guard.ts';
import { measureGuard, measureIgnored } from '@silo/guard/guard-metrics.ts';
import type { GuardLinks } from '@silo/guard/links.ts';
import { createRegistryClient } from '@silo/guard/registry-client.ts';
import { remoteFactReader } from '@silo/guard/remote-fact-reader.ts';
import { isSource } from '@silo/guard/wire.ts';
import { waitingEvents } from '@silo/log/collections.ts';
import { createEventLog } from '@silo/log/event-log.ts';
import { getHead, readEvents } from '@silo/log/event-log-service.ts';
import { measureEventLog } from '@silo/log/log-metrics.ts';
import type { Position } from '@silo/log/position.ts';
import { remoteReader } from '@silo/log/remote-reader.ts';
import { logMigrations } from '@silo/log/set-up.ts';
import { connectMongo, type MongoConnection, MongoUrlError } from '@silo/mongo/connect.ts';
import { migrate } from '@silo/mongo/migrations.ts';
import { measureMongo } from '@silo/mongo/mongo-metrics.ts';
import { type PoolUse, unusedPool } from '@silo/mongo/pool-use.ts';
import { Pulse } from '@silo/mongo/pulse.ts';
import { EventLogServiceService } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { mount } from '@silo/rpc/mount.ts';
import { openPorts, type Ports } from '@silo/rpc/service.ts';
import { FollowedTls } from '@silo/rpc/tls.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { formatHostPort } from '@silo/runtime/config.ts';
import type { Log } from '@silo/runtime/log.ts';
import { createMetrics, serveMetrics } from '@silo/runtime/metrics.ts';
import { Progress } from '@silo/runtime/progress.ts';
import { retry } from '@silo/runtime/retry.ts';
import { runForever } from '@silo/runtime/run-forever.ts';
import { measureSagas } from '@silo/saga/saga-metrics.ts';
import { leftSagas, sagaMigrations } from '@silo/saga/saga-records.ts';
import { createSagas } from '@silo/saga/sagas.ts';
import { portLimitsOf, type ServiceConfig, type ServiceName } from './config.ts';
import { connectPeers, type Peers } from './peers.ts';
import { followProgress, measureProgress } from './progress.ts';
import { createPropagate } from './propagate.ts';
import { connectRegions } from './regions.ts';
import type { ServiceDefinition, ServiceKit } from './service-definition.ts';

/** A running service. Disposing drains it. */
export type RunningService = AsyncDisposable & {
  name: ServiceName;
  /** The bound addresses, `host:port`. */
  publicAddress: string;
  internalAddress: string;
};

// Both together are shorter than the 3 s in which health follows MongoDB.
const lookIntervalMs = 1_000;
const lookTimeoutMs = 1_500;
/** The interval of recovery if no check of the pulse has found something. */
const unpromptedMs = 10_000;
/** If the whole deployment stops at once, guards release their leases within this time. */
const lingerMs = 1_000;

export type RuntimeContext = {
  log: Log;
  /** Ends the start. Parts that have started run until they are disposed of. */
  signal: AbortSignal;
  /** For control runs, which switch a protection off: replaces the access checks of the service. */
  alterAccess?: ((access: Access) => Access) | undefined;
};

/**
 * Starts one service: waits for MongoDB, migrates its database to this release, opens both ports,
 * runs its loops. NATS and the other services may start later. Rejects if a port is in use or the
 * signal aborts.
 */
export async function startService(
  definition: ServiceDefinition,
  config: ServiceConfig,
  { log, signal, alterAccess = (access) => access }: RuntimeContext,
): Promise<RunningService> {
  const { name } = definition;
  const { region } = config;
  /** Identifies this process among those that run the same service. */
  const owner = randomUUID();
  const life = new AbortController();
  await using opened = new AsyncDisposableStack();
  const { tlsCa: ca, tlsCert: cert, tlsKey: key, regionTlsCa: regionCa } = config;
  const files = { ca, cert, key, regionCa };
  const tls = opened.use(new FollowedTls(files, { log }));

  const poolUse = unusedPool();
  const { client, db } = opened.use(
    await connectPatiently(definition, config, { log, signal, poolUse }),
  );
  const migrations = [...logMigrations, ...sagaMigrations, ...definition.migrations];
  await migrate(db, migrations, { owner, signal, log });
  const eventLog = opened.use(
    createEventLog({ client, db, service: name, region, clock: systemClock, log }),
  );
  const { peers } = opened.use(connectPeers(addressesOf(config), tls, region));
  const { regions } = opened.use(connectRegions(config.regionAddresses, tls));
  const nats = opened.use(
    connectNats({
      url: config.natsUrl,
      passwordFile: config.natsPasswordFile,
      caFile: config.natsTlsCa,
      name: `silo-${name}`,
      log,
    }),
  );
  const logs = { ...remoteLogs(peers), ...(isSource(name) && { [name]: eventLog }) };
  const own = definition.openRegistry?.({
    ...{ client, db, config, nats, logs, log, signal: life.signal },
  });
  if (own !== undefined) opened.use(own);
  const remote = createRegistryClient(peers.token.registry);
  const guards = own ?? remote;
  const guard = opened.use(
    new Guard({
      name: `${name}-${owner.slice(0, 8)}`,
      links: {
        leases: own?.for(`service/${name}`) ?? remote,
        logs,
        factReader: { ...remoteFactReader(peers), ...definition.factReader(db) },
        ...{ nats, subjectPrefix: config.natsSubjectPrefix },
      },
      log,
    }),
  );
  const access = alterAccess(guard);
  const metrics = createMetrics({ service: name, region });
  const pulse = new Pulse(db);
  const propagate = createPropagate(eventLog, guards, metrics);
  // The loops end before the parts that they use, and after the calls that need them, so not with
  // the process's signal.
  const loops: Promise<void>[] = [];
  opened.defer(async () => {
    life.abort(new DOMException('the service stops', 'AbortError'));
    await Promise.allSettled(loops);
  });
  const consumers: Progress[] = [];
  const watchProgress = (consumer: string) => {
    const progress = new Progress(consumer);
    consumers.push(progress);
    return progress;
  };
  const kit: ServiceKit = {
    config,
    client,
    db,
    eventLog,
    access,
    registry: guards,
    propagate,
    localRegistry: own,
    peers,
    regions,
    createSagas: (definitions) => {
      const sagas = createSagas({
        db,
        eventLog,
        owner,
        log,
        definitions,
        signal: life.signal,
        untilLeft: (until) => pulse.wait(leftSagas, unpromptedMs, until),
      });
      measureSagas(metrics, db, sagas);
      loops.push(sagas.resume(life.signal));
      return sagas;
    },
    untilFound: (place, until) => pulse.wait(place, unpromptedMs, until),
    watchProgress,
    metrics,
    clock: systemClock,
    log,
    signal: life.signal,
  };
  const parts = definition.build(kit);
  const ofRelay = watchProgress('relay');
  const ofGuard = watchProgress('guard');

  measureGuard(metrics, () => guard.status());
  measureProgress(metrics, consumers);
  measureMongo(metrics, poolUse, () => pulse.answered);
  measureNats(metrics, nats);
  measureEventLog(metrics, db);
  measureRelay(metrics, db);
  if (own !== undefined) measureIgnored(metrics, 'registry', () => own.ignored);
  if (config.metricsAddress) {
    opened.use(await serveMetrics(config.metricsAddress, metrics, { log }));
  }
  const ports = opened.use(
    await openPorts({
      region,
      otherRegions: new Set(regions.keys()),
      tls,
      log,
      metrics,
      access,
      ledger: eventLog,
      limits: portLimitsOf(config),
      propagate,
      findEndedKey: parts.findEndedKey,
      onTokenRefused: parts.onTokenRefused,
      public: { address: formatHostPort(config.publicAddress), services: parts.public },
      internal: {
        address: formatHostPort(config.internalAddress),
        services: [
          mount(EventLogServiceService, {
            readEvents: readEvents(eventLog),
            getHead: getHead(eventLog),
          }),
          ...parts.internal,
        ],
      },
    }),
  );
  const other = await parts.openOther?.({ metrics });
  if (other !== undefined) opened.use(other);
  opened.use(nats.connected.subscribe((isConnected) => ports.setHealth('silo.nats', isConnected)));
  const stream = { name: config.natsStream, subjectPrefix: config.natsSubjectPrefix };
  // So that a change whose RPC died before its barrier is still required.
  const onHead = isSource(name)
    ? (head: Position, signal: AbortSignal) => guards.raiseRequirement({ [name]: head }, signal)
    : undefined;
  // The guard's lease brings the keys, so a source needs no call of its own for them.
  const signingKey = () => guard.broadcastKeys.signing();
  if (parts.relays !== false) {
    loops.push(
      runRelay({
        ...{ eventLog, db, nats, stream, signingKey, owner, onHead, log },
        ...{ progress: ofRelay, signal: life.signal },
        untilOrphaned: (until) => pulse.wait(waitingEvents, unpromptedMs, until),
      }),
    );
  }
  for (const loop of parts.loops ?? []) loops.push(loop(life.signal));
  loops.push(followMongo(pulse, [ports, ...(other ? [other] : [])], { log, signal: life.signal }));
  loops.push(
    followProgress(ports, consumers, { log, signal: life.signal }, () => {
      if (guard.status().hasReadLease) ofGuard.made();
      else ofGuard.failed();
    }),
  );
  const { publicAddress, internalAddress } = ports;
  log.info({ publicAddress, internalAddress }, 'listening');

  const running = opened.move();
  return {
    name,
    publicAddress,
    internalAddress,
    // Admitted calls finish first, because they may need everything else. Then the guard's lease is
    // released, so that no revocation waits for it, and everything else stops.
    [Symbol.asyncDispose]: async () => {
      const otherDrained = other?.drain();
      await ports.drain(undefined, async () => {
        await otherDrained;
        await guard[Symbol.asyncDispose]();
        await own?.untilEmpty(lingerMs);
      });
      await running.disposeAsync();
    },
  };
}

async function connectPatiently(
  { name }: ServiceDefinition,
  config: ServiceConfig,
  { log, signal, poolUse }: Pick<RuntimeContext, 'log' | 'signal'> & { poolUse: PoolUse },
): Promise<MongoConnection> {
  const options = {
    url: config.mongodbUrl,
    urlFile: config.mongodbUrlFile,
    database: `${config.mongodbDatabasePrefix}_${name}`,
    appName: `silo-${name}`,
    ...{ log, signal, poolUse },
  };
  const attempt = async () => {
    try {
      return await connectMongo(options);
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, 'MongoDB is not reachable');
      throw error;
    }
  };
  return await retry(attempt, {
    attemptsMax: Number.POSITIVE_INFINITY,
    baseMs: 100,
    capMs: 5_000,
    isRetryable: (error) => !(error instanceof MongoUrlError),
    signal,
  });
}

function remoteLogs({ org, project, token }: Peers): GuardLinks['logs'] {
  return {
    org: remoteReader('org', org.eventLog),
    project: remoteReader('project', project.eventLog),
    token: remoteReader('token', token.eventLog),
  };
}

function addressesOf(config: ServiceConfig): Record<ServiceName, string> {
  return {
    org: config.orgInternalAddress,
    project: config.projectInternalAddress,
    token: config.tokenInternalAddress,
    billing: config.billingInternalAddress,
  };
}

/** Health follows MongoDB, because nothing can be decided without it. */
async function followMongo(
  pulse: Pulse,
  ports: readonly Pick<Ports, 'setServing'>[],
  { log, signal }: RuntimeContext,
): Promise<void> {
  await runForever({ name: 'health', intervalMs: lookIntervalMs, signal, log }, async () => {
    const answers = await pulse.answersWithin(lookTimeoutMs);
    for (const port of ports) port.setServing(answers);
  });
}
