import test, { type ExecutionContext } from 'ava';
import { MongoClient } from 'mongodb';
import { connectToNats, jetStreamOf, managerOf } from '../../../test/harness/patient-nats.ts';
import { startMongod, startMongodSet } from '../mongod.ts';
import { startNatsServer } from '../nats-server.ts';
import { obtain, type ServerName } from '../obtain.ts';
import { freePort, isPortFree } from '../ports.ts';
import { temporaryDirectory } from './temporary-directory.ts';

async function binaryOf(t: ExecutionContext, name: ServerName): Promise<string> {
  return (await obtain(name, { log: (line) => t.log(line) })).path;
}

test('mongod accepts transactions as a one-node set, and keeps its data when the port changes', async (t) => {
  const directory = await temporaryDirectory(t);
  const binary = await binaryOf(t, 'mongod');
  const firstPort = await freePort();
  {
    await using mongod = await startMongod({ binary, directory, port: firstPort });
    await using client = new MongoClient(mongod.url);
    await client.withSession((session) =>
      session.withTransaction(() =>
        client.db('test').collection('things').insertOne({ kept: true }, { session }),
      ),
    );
  }
  t.true(await isPortFree(firstPort));
  await using mongod = await startMongod({ binary, directory });
  t.not(mongod.port, firstPort);
  await using client = new MongoClient(mongod.url);
  const found = await client
    .db('test')
    .collection('things')
    .findOne({ kept: true }, { readConcern: { level: 'majority' } });
  t.true(found?.kept);
});

test('mongod recovers from SIGKILL, and accepts fail points only if they are enabled', async (t) => {
  const directory = await temporaryDirectory(t);
  const binary = await binaryOf(t, 'mongod');
  const failPoint = {
    configureFailPoint: 'failCommand',
    mode: { times: 1 },
    data: { failCommands: ['ping'], errorCode: 11600 },
  };
  const killed = await startMongod({ binary, directory });
  {
    await using client = new MongoClient(killed.url);
    await t.throwsAsync(client.db('admin').command(failPoint), { message: /no such command/ });
  }
  await killed.stop({ force: true });
  await using mongod = await startMongod({ binary, directory, enableTestCommands: true });
  await using client = new MongoClient(mongod.url, { retryReads: false });
  await client.db('admin').command(failPoint);
  await t.throwsAsync(client.db('admin').command({ ping: 1 }), { message: /failCommand/ });
});

test('a transaction whose client was killed releases its locks within ten seconds', async (t) => {
  const directory = await temporaryDirectory(t);
  await using mongod = await startMongod({ binary: await binaryOf(t, 'mongod'), directory });
  await using client = new MongoClient(mongod.url);
  const parameters = { getParameter: 1, transactionLifetimeLimitSeconds: 1 };
  const { transactionLifetimeLimitSeconds } = await client.db('admin').command(parameters);
  t.is(transactionLifetimeLimitSeconds, 10);
});

test('a mongod that ends early is reported with the end of its log', async (t) => {
  const directory = await temporaryDirectory(t);
  const binary = await binaryOf(t, 'mongod');
  const setParameters = { noSuchParameter: '1' };
  const error = await t.throwsAsync(startMongod({ binary, directory, setParameters }));
  t.regex(error.message, /mongod exited with code \d+.*Unknown --setParameter 'noSuchParameter'/s);
});

test('a replica set of three elects a primary and accepts majority writes', async (t) => {
  const directory = await temporaryDirectory(t);
  await using set = await startMongodSet({ binary: await binaryOf(t, 'mongod'), directory });
  t.is(set.members.length, 3);
  await using client = new MongoClient(set.url);
  await client
    .db('test')
    .collection('things')
    .insertOne({}, { writeConcern: { w: 'majority' } });
  t.pass();
});

test('nats-server serves JetStream and keeps a stream over a restart', async (t) => {
  const directory = await temporaryDirectory(t);
  const binary = await binaryOf(t, 'nats-server');
  {
    await using server = await startNatsServer({ binary, directory });
    const connection = await connectToNats({ url: server.url });
    const manager = await managerOf(connection);
    await manager.streams.add({ name: 'KEPT', subjects: ['kept.>'] });
    await jetStreamOf(connection).publish('kept.one');
    await connection.close();
  }
  await using server = await startNatsServer({ binary, directory });
  const connection = await connectToNats({ url: server.url });
  const manager = await managerOf(connection);
  t.is((await manager.streams.info('KEPT')).state.messages, 1);
  await connection.close();
});

test('a nats-server that ends early is reported with the end of its log', async (t) => {
  const directory = await temporaryDirectory(t);
  const binary = await binaryOf(t, 'nats-server');
  const configuration = 'no_such_setting: 1';
  const error = await t.throwsAsync(startNatsServer({ binary, directory, configuration }));
  t.regex(error.message, /nats-server exited with code 1.*no_such_setting/s);
});
