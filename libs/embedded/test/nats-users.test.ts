import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectNats } from '@silo/events/connect.ts';
import { natsOptions } from '@silo/events/nats-options.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import test, { type ExecutionContext } from 'ava';
import { AckPolicy, connect, type NatsConnection } from 'nats';
import { type NatsServer, startNatsServer } from '../nats-server.ts';
import { type NatsUser, natsUsers } from '../nats-users.ts';
import { obtain } from '../obtain.ts';
import { makePassword } from '../passwords.ts';
import { waitUntil } from '../wait-until.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const patience = { withinMs: 300_000 };
/** Generous time limit for answers of the server, because a busy machine is not a failure. */
const answers = { timeout: 60_000 };
const revoked = 'silo.v1.token.revoked.prj_1';

/** Starts a nats-server with the stream SILO, which holds three events. */
async function serve(t: ExecutionContext) {
  const binary = (await obtain('nats-server', { log: (line) => t.log(line) })).path;
  const directory = await temporaryDirectory(t);
  const server = await startNatsServer({ binary, directory });
  t.teardown(() => server.stop());
  const as = async (user: NatsUser) => {
    const connection = await connect({
      ...natsOptions({ url: server.urlOf(user) }),
      reconnect: false,
      ...answers,
    });
    t.teardown(() => connection.close());
    return connection;
  };
  const admin = await as('admin');
  const manager = await admin.jetstreamManager(answers);
  await manager.streams.add({ name: 'SILO', subjects: ['silo.v1.>'] });
  for (const id of ['a', 'b', 'c']) {
    await admin.jetstream(answers).publish(`silo.v1.org.updated.org_${id}`, id, { msgID: id });
  }
  const stored = async () => (await manager.streams.info('SILO')).state.messages;
  return { server, directory, as, admin, stored };
}

/** The broker's refusal of a message on this subject; undefined if it accepts the message. */
async function refusalOf(connection: NatsConnection, subject: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const watch = async () => {
    for await (const { permissionContext } of connection.status()) {
      if (permissionContext) resolve(`${permissionContext.operation} ${permissionContext.subject}`);
    }
  };
  watch().catch(() => {});
  connection.publish(subject, 'forged');
  // The server answers in order: a refusal arrives before the answer to this flush.
  const flushed = connection.flush().then(() => undefined);
  const refused = await Promise.race([promise, flushed]);
  return refused ?? (await Promise.race([promise, connection.flush().then(() => undefined)]));
}

const forgeries: [NatsUser, string[]][] = [
  [
    'subscriber',
    [revoked, 'numbered.silo.v1.token', 'acknowledged.silo.v1', '$JS.API.STREAM.PURGE.SILO'],
  ],
  ['guard', [revoked, 'numbered.silo.v1.token', '$JS.API.STREAM.DELETE.SILO', '$JS.API.INFO']],
  ['org', [revoked, 'numbered.silo.v1.token', '$JS.API.STREAM.DELETE.SILO']],
  ['billing', ['silo.v1.project.moved.prj_1', 'numbered.silo.v1.project']],
];

for (const [user, subjects] of forgeries) {
  test(`the broker refuses to publish what ${user} may not publish`, async (t) => {
    const { as, stored } = await serve(t);
    for (const subject of subjects) {
      t.is(await refusalOf(await as(user), subject), `publish ${subject}`);
    }
    t.is(await stored(), 3);
  });
}

test('the broker accepts what a service and a guard need to publish', async (t) => {
  const { as, admin } = await serve(t);
  const received: string[] = [];
  const note = (_error: Error | null, { subject }: { subject: string }) =>
    void received.push(subject);
  admin.subscribe('*.silo.v1.>', { callback: note });
  admin.subscribe('acknowledged.silo.v1', { callback: note });
  await admin.flush();
  const org = await as('org');
  const answer = await org
    .jetstream(answers)
    .publish('silo.v1.org.updated.org_d', 'd', { msgID: 'd' });
  t.is(answer.seq, 4);
  t.is(await refusalOf(org, 'numbered.silo.v1.org'), undefined);
  t.is(await refusalOf(await as('guard'), 'acknowledged.silo.v1'), undefined);
  await admin.flush();
  t.deepEqual(received, ['numbered.silo.v1.org', 'acknowledged.silo.v1']);
});

test('the guard user receives event batches, but cannot read the stream', async (t) => {
  const { as, admin } = await serve(t);
  const guard = await as('guard');
  const received: string[] = [];
  const callback = (_error: Error | null, { subject }: { subject: string }) =>
    void received.push(subject);
  guard.subscribe('numbered.silo.v1.token', { callback });
  const refused = new Promise((resolve) => guard.subscribe(revoked, { callback: resolve }));
  await guard.flush();
  t.regex(String(await refused), /permissions violation/i);
  admin.publish('numbered.silo.v1.token', 'batch');
  admin.publish(revoked, 'event');
  await admin.flush();
  await guard.flush();
  t.deepEqual(received, ['numbered.silo.v1.token']);
});

test('a subscriber reads the stream with consumers of every kind, and receives new events', async (t) => {
  const { as, admin } = await serve(t);
  const subscriber = await as('subscriber');
  const stream = subscriber.jetstream(answers);

  const ordered = await stream.consumers.get('SILO', { filterSubjects: 'silo.v1.org.>' });
  const inOrder: string[] = [];
  for await (const message of await ordered.consume()) {
    if (inOrder.push(message.string()) === 3) break;
  }
  t.deepEqual(inOrder, ['a', 'b', 'c']);

  const manager = await subscriber.jetstreamManager(answers);
  await manager.consumers.add('SILO', { durable_name: 'mine', ack_policy: AckPolicy.Explicit });
  const durable = await stream.consumers.get('SILO', 'mine');
  const acknowledged: boolean[] = [];
  for await (const message of await durable.fetch({ max_messages: 3, expires: 10_000 })) {
    acknowledged.push(await message.ackAck());
  }
  t.deepEqual(acknowledged, [true, true, true]);

  const live = subscriber.subscribe('silo.v1.>', { max: 1 });
  await subscriber.flush();
  await admin.jetstream(answers).publish(revoked, 'live', { msgID: 'live' });
  for await (const message of live) t.is(message.string(), 'live');
});

test('a subscriber cannot store JetStream’s replies as events', async (t) => {
  const { as, stored, admin } = await serve(t);
  const subscriber = await as('subscriber');
  subscriber.publish('$JS.API.STREAM.INFO.SILO', '', { reply: revoked });
  await subscriber.flush();
  await subscriber.jetstreamManager(answers); // a round trip to JetStream, after the request
  t.is(await stored(), 3);
  // In the stream's own account it is possible; the subscribers' account prevents it.
  admin.publish('$JS.API.STREAM.INFO.SILO', '', { reply: revoked });
  await waitUntil(
    'the answer being stored',
    async () => {
      if ((await stored()) === 3) throw new Error('three messages');
    },
    patience,
  );
});

test('passwords are stored only in private files, and each user has its own', async (t) => {
  const { server, directory } = await serve(t);
  const passwords = await Promise.all(
    natsUsers.map(async (user) => {
      const file = server.passwordFileOf(user) ?? '';
      t.is((await stat(file)).mode & 0o777, 0o600);
      return (await readFile(file, 'utf8')).trim();
    }),
  );
  t.is(new Set(passwords).size, natsUsers.length);
  t.is((await stat(join(directory, 'nats-server.conf'))).mode & 0o777, 0o600);
  t.is((await stat(join(directory, 'passwords'))).mode & 0o777, 0o700);
  const log = await readFile(join(directory, 'nats-server.log'), 'utf8');
  const commandLine = await readFile(`/proc/${server.pid}/cmdline`, 'utf8').catch(() => '');
  for (const password of passwords) t.false(`${log}${commandLine}`.includes(password));
});

test('a client stays connected through two changes of its password', async (t) => {
  const { server } = await serve(t);
  const passwordFile = server.passwordFileOf('org') ?? '';
  const url = server.urlOf('org').replace(/:[^:@]+@/, '@');
  await using link = connectNats({ url, passwordFile, name: 'test', log: silentLogger() });
  const connection = await link.ready(AbortSignal.timeout(600_000));
  for (const turn of [1, 2]) {
    const { losses } = link;
    await changePassword(server, 'org');
    await waitUntil(
      'the client logging in again',
      async () => {
        if (link.losses === losses || !link.connected.value) throw new Error('not yet');
      },
      patience,
    );
    t.is(link.connection, connection, 'the same connection, with its subscriptions');
    const { seq } = await connection
      .jetstream(answers)
      .publish('silo.v1.org.updated.org_d', '', { msgID: `turn ${turn}` });
    t.is(seq, 3 + turn);
  }
});

test('a client whose password is refused for a while reconnects once it is valid again', async (t) => {
  const { server } = await serve(t);
  const passwordFile = server.passwordFileOf('org') ?? '';
  const mine = join(await temporaryDirectory(t), 'password');
  await writeFile(mine, await readFile(passwordFile));
  const url = server.urlOf('org').replace(/:[^:@]+@/, '@');
  await using link = connectNats({ url, passwordFile: mine, name: 'test', log: silentLogger() });
  const connection = await link.ready(AbortSignal.timeout(600_000));
  let refusals = 0;
  const count = async () => {
    for await (const { data } of connection.status()) {
      if (data === 'AUTHORIZATION_VIOLATION') refusals++;
    }
  };
  count().catch(() => {});
  await changePassword(server, 'org');
  await waitUntil(
    'three refused logins',
    async () => {
      if (refusals < 3) throw new Error(`${refusals}`);
    },
    patience,
  );
  await writeFile(mine, await readFile(passwordFile));
  await waitUntil(
    'the client reconnecting',
    async () => {
      if (!link.connected.value) throw new Error('not yet');
    },
    patience,
  );
  t.is(link.connection, connection);
});

async function changePassword(server: NatsServer, user: NatsUser): Promise<void> {
  await writeFile(server.passwordFileOf(user) ?? '', makePassword());
  await server.reload();
}
