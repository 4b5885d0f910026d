import { randomUUID } from 'node:crypto';
import { createEventLog, type EventLog } from '@silo/log/event-log.ts';
import { logMigrations } from '@silo/log/set-up.ts';
import { connectMongo } from '@silo/mongo/connect.ts';
import { indexMigration } from '@silo/mongo/indexes.ts';
import { prepare } from '@silo/mongo/test/support.ts';
import { ProjectUpdated } from '@silo/protos/gen/silo/events/v1/events.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import { withDeadline } from '@silo/runtime/deadline.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import type { Collection, Db } from 'mongodb';
import { Bare } from '../bare.ts';
import type { Bench } from '../bench-servers.ts';
import { compareThroughputs, type Load } from '../measure.ts';
import { type Measured, perSecond, type Row } from '../row.ts';

const callDeadlineMs = 10_000;

type Setting = { clients: number; replicas: number; numbered: boolean };

/** The documents that the clients change, one each. */
type ThingDocument = { _id: string; name: string; revision: number; updateTime: Date };

/**
 * Mutations per second that one service's store commits, with each client changing its own
 * document: a decision with its event, sequenced after it by grouped transactions. A round ends
 * when everything committed in it is sequenced. Replicas are separate event logs on one database.
 * The floor: the same number of clients with bare transactions of two statements, the document and
 * one outbox document with the same event, which is never sequenced.
 */
export const mutations: readonly Row[] = [
  row('mutations-1', 0.8, { clients: 1, replicas: 1, numbered: false }),
  row('mutations-32', 0.8, { clients: 32, replicas: 1, numbered: false }),
  row('mutations-64', 0.8, { clients: 64, replicas: 1, numbered: false }),
  row('mutations-32-replicas', 0.8, { clients: 32, replicas: 2, numbered: false }),
  row('mutations-32-numbered', 0.6, { clients: 32, replicas: 1, numbered: true }),
];

function row(name: string, atLeast: number, setting: Setting): Row {
  const { clients, replicas, numbered } = setting;
  const callers = `${clients} ${clients === 1 ? 'client' : 'clients'}`;
  const where = replicas === 1 ? 'one service' : `${replicas} replicas of a service`;
  const wait = numbered ? 'every client waits for the sequence' : 'no client waits for a sequence';
  return {
    name,
    unit: 'mutations/s',
    goal: { of: 'ratio', atLeast },
    about: `${where}, ${callers}, ${wait}; floor: bare transactions that write as many documents`,
    run: (bench) => measure(bench, name, setting),
  };
}

async function measure(bench: Bench, name: string, setting: Setting): Promise<Measured> {
  const url = await bench.mongodb();
  await using stack = new AsyncDisposableStack();
  const floor = await bareLoad(url, name, setting, stack);
  const measured = await eventLogLoad(url, name, setting, stack);
  return perSecond(await compareThroughputs({ floor, measured }));
}

async function bareLoad(
  url: string,
  name: string,
  { clients, replicas }: Setting,
  stack: AsyncDisposableStack,
): Promise<Load> {
  const bares = await Promise.all(
    Array.from({ length: replicas }, async () =>
      stack.use(await Bare.open(url, `bench-floor-${name}`)),
    ),
  );
  const transactions = await Promise.all(
    Array.from({ length: clients }, (_, client) =>
      pick(bares, client).transaction([
        { kind: 'change', collection: 'things', sample: newThing() },
        { kind: 'add', collection: 'outbox', sample: outboxSample() },
      ]),
    ),
  );
  return { clients, operation: (client) => pick(transactions, client)() };
}

async function eventLogLoad(
  url: string,
  name: string,
  { clients, replicas, numbered }: Setting,
  stack: AsyncDisposableStack,
): Promise<Load> {
  const stores = await Promise.all(
    Array.from({ length: replicas }, (_, replica) =>
      openStore(url, `bench-${name}`, replica, stack),
    ),
  );
  const [first] = stores;
  const documents = Array.from({ length: clients }, newThing);
  await first?.things.insertMany(documents);
  return {
    clients,
    operation: async (client) => {
      const { eventLog, things } = pick(stores, client);
      const { signal } = withDeadline(callDeadlineMs);
      const { _id } = pick(documents, client);
      const { eventIds } = await eventLog.mutate(
        { id: randomUUID(), actor: 'acc_bench', signal, authorization: undefined },
        ProjectUpdated,
        async (tx) => {
          await things.updateOne(
            { _id },
            { $inc: { revision: 1 }, $set: { updateTime: tx.now } },
            { session: tx.session },
          );
          const response = eventBody(_id, tx.now);
          tx.emit({ event: 'updated', subject: _id, body: ProjectUpdated.toJSON(response) });
          return { response };
        },
      );
      if (numbered) await eventLog.position(eventIds, signal);
    },
    drain: () => pick(stores, 0).eventLog.head(AbortSignal.timeout(callDeadlineMs)),
  };
}

async function openStore(
  url: string,
  database: string,
  replica: number,
  stack: AsyncDisposableStack,
): Promise<{ eventLog: EventLog; things: Collection<ThingDocument> }> {
  const appName = `bench-${replica}`;
  const { client, db } = stack.use(await connectMongo({ url, database, appName }));
  await setUp(db);
  const log = silentLogger();
  const options = {
    client,
    db,
    service: 'project',
    region: 'us',
    clock: systemClock,
    log,
  } as const;
  const eventLog = stack.use(createEventLog(options));
  return { eventLog, things: db.collection<ThingDocument>('things') };
}

async function setUp(db: Db): Promise<void> {
  await prepare(db, logMigrations);
  await prepare(db, [indexMigration('indexes', { things: [] })]);
}

function newThing(): ThingDocument {
  return { _id: randomUUID(), name: 'Default Project', revision: 1, updateTime: new Date() };
}

/** In the form of libs/mongo. */
function outboxSample() {
  const id = randomUUID();
  const body = JSON.stringify(ProjectUpdated.toJSON(eventBody(id, new Date())));
  return {
    time: new Date(),
    actor: 'acc_bench',
    correlationId: randomUUID(),
    events: [{ id, event: 'updated', subject: id, body }],
  };
}

function eventBody(projectId: string, time: Date): ProjectUpdated {
  const organizationId = 'org_us_01k00000000000000000000000';
  const changes = [{ field: 'name', from: 'Default Project', to: 'Production' }];
  const actor = 'acc_bench';
  return ProjectUpdated.create({ projectId, organizationId, changes, revision: 2, actor, time });
}

function pick<T>(values: readonly T[], index: number): T {
  const value = values[index % values.length];
  if (value === undefined) throw new RangeError('there is nothing to pick from');
  return value;
}
