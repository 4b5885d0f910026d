import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NatsServer, startNatsServer } from '@silo/embedded/nats-server.ts';
import type { EventLog } from '@silo/log/event-log.ts';
import { mutation, testEventLog } from '@silo/log/test/support.ts';
import { systemSleep } from '@silo/runtime/clock.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { Progress } from '@silo/runtime/progress.ts';
import type { ExecutionContext } from 'ava';
import type { JetStreamManager, StoredMsg } from 'nats';
import { required } from '../../../test/harness/environment.ts';
import { connectToNats, managerOf } from '../../../test/harness/patient-nats.ts';
import { RestartableServer } from '../../../test/harness/restartable-server.ts';
import { messageKey } from '../authentication.ts';
import { connectNats, type NatsLink } from '../connect.ts';
import { placedBy } from '../envelope.ts';
import { type RelayOptions, relayDuring, runRelay } from '../relay.ts';
import type { StreamOptions } from '../stream.ts';

/** The key with which relays in tests sign event batches. */
export const testKey = messageKey('test', randomBytes(32));

/** How often relays in tests check their stream. */
const checkIntervalMs = 100;

/** A NATS server for one test, which can be killed and started again, with its data or without. */
export async function ownNatsServer(
  t: ExecutionContext,
  configuration?: string,
): Promise<RestartableServer<NatsServer> & { forget(): Promise<void> }> {
  const binary = required('NATS_SERVER_BINARY');
  const root = await mkdtemp(join(tmpdir(), 'silo-nats-'));
  const directory = join(root, 'nats');
  const server = await RestartableServer.start((port) =>
    startNatsServer({ binary, directory, configuration, port }),
  );
  t.teardown(async () => {
    await server[Symbol.asyncDispose]();
    await rm(root, { recursive: true, force: true });
  });
  return Object.assign(server, {
    forget: () => rm(join(directory, 'data'), { recursive: true }),
  });
}

/** An event log, a stream for one test, and relays between them. */
export async function testRelay(
  t: ExecutionContext,
  url: string = required('NATS_URL'),
  intervalMs: number = checkIntervalMs,
) {
  const { connection, eventLog, another } = await testEventLog(t);
  await connection.db.createCollection('things');
  const slug = randomUUID().slice(0, 8);
  const stream: StreamOptions = { name: `TEST_${slug}`, subjectPrefix: `test_${slug}.v1` };
  const signingKey = () => testKey;
  const now = { value: 0 };
  const progress = new Progress('relay', () => now.value);
  const base = { stream, signingKey, log: silentLogger(), checkIntervalMs: intervalMs };

  const link = (linkUrl: string): NatsLink => {
    const nats = connectNats({ url: linkUrl, name: 'test', log: silentLogger() });
    t.teardown(() => nats[Symbol.asyncDispose]());
    return nats;
  };
  const optionsFor = (owner: string, signal: AbortSignal, log: EventLog): RelayOptions => ({
    ...base,
    ...{ owner, signal, eventLog: log, db: connection.db, nats: link(url), progress },
    untilOrphaned: (until) => systemSleep(1_000, until),
  });
  const running = (run: (signal: AbortSignal) => Promise<void>) => {
    const stopping = new AbortController();
    const ended = run(stopping.signal);
    const stop = async () => {
      stopping.abort();
      await ended;
    };
    t.teardown(stop);
    return stop;
  };

  const admin = async <T>(work: (manager: JetStreamManager) => Promise<T>): Promise<T> => {
    const nats = await connectToNats({ url });
    try {
      return await work(await managerOf(nats));
    } finally {
      await nats.close();
    }
  };
  t.teardown(() => admin((manager) => manager.streams.delete(stream.name)).catch(() => {}));

  return {
    ...{ connection, eventLog, another, stream, admin, link, progress },
    /** Lets a minute pass for `progress`. */
    passMinute: () => {
      now.value += 60_000;
    },
    /** Starts a candidate for the relay; returns how to stop it. */
    start: (owner: string, log = eventLog) =>
      running((signal) => runRelay(optionsFor(owner, signal, log))),
    /** Starts a relay that acts as leader, independent of other relays. */
    startUnelected: (fence: number, log = eventLog) =>
      running((signal) => relayDuring(optionsFor(String(fence), signal, log), { fence, signal })),
    /** Decides `count` changes, one after another. */
    decide: async (count: number, log = eventLog) => {
      for (let turn = 0; turn < count; turn++) {
        await log.decide(mutation(), async (tx) => {
          await tx.db.collection('things').insertOne({}, { session: tx.session });
          tx.emit({ event: 'updated', subject: 'prj_1', body: { turn } });
        });
      }
    },
    /** All messages of the stream, in order. */
    messages: () =>
      admin(async (manager) => {
        const { state } = await manager.streams.info(stream.name, { deleted_details: true });
        const found: StoredMsg[] = [];
        for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
          if (state.deleted?.includes(seq)) continue;
          found.push(await manager.streams.getMessage(stream.name, { seq }));
        }
        return found;
      }),
  };
}

/** The sequences of messages, in their order. */
export function sequencesOf(messages: StoredMsg[]): number[] {
  return messages.map((message) => placedBy((name) => message.header.get(name))?.sequence ?? 0);
}

/** The numbers from `first` to `last`. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
