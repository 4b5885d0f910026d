import type { ServiceName } from '@silo/service/config.ts';
import type { Db, Document, MongoClient } from 'mongodb';
import { eventually } from '../harness/eventually.ts';

/** The command of a service that is held, and its outcome. */
export type Held = {
  service: ServiceName;
  command: string;
  /** The collection of the command; for a commit, of an insert in its transaction. */
  collection: string;
  /** Number of commands that are held at the same time; default 1. */
  times?: number;
  /**
   * `lost`: the command is never executed. `done`: it is executed, but its caller is gone or its
   * time limit (`maxTimeMS`) is over.
   */
  outcome: 'lost' | 'done';
};

/** The writes to one collection, by any process of the service. */
export type Write = {
  service: ServiceName;
  kind: 'insert' | 'update';
  collection: string;
  /** Number of writes that pass before one is stopped; default none. */
  skip?: number;
};

/** The server's own fail points inside of each write, which hang until they are switched off. */
const writeFailPoints: Record<Write['kind'], string> = {
  insert: 'hangDuringBatchInsert',
  update: 'hangDuringBatchUpdate',
};

/** Prevents that `maxTimeMS` ends commands. */
const withoutTimeLimits = 'maxTimeNeverTimeOut';

/** An active fail point. */
export type Holding = {
  /** Resolves when such commands are held. */
  entered(): Promise<void>;
  /** Holds nothing more, and resolves when the held commands have had their outcome. */
  release(): Promise<void>;
};

/** Enough time to kill a process, and less than any deadline of Silo. */
const heldMs = 2_500;

/**
 * Holds every such command for a while, including repeats, until it is released. One at a time,
 * because the server has one such fail point:
 * https://github.com/mongodb/mongo/wiki/The-%22failCommand%22-fail-point
 */
export async function holdCommand(mongo: MongoClient, held: Held): Promise<Holding> {
  const { service, command, collection, times = 1, outcome } = held;
  const admin = mongo.db('admin');
  const db = mongo.db(`silo_${service}`);
  const isCommit = command === 'commitTransaction';
  if (isCommit) await recordInserts(db, collection);
  await admin.command({
    ...{ configureFailPoint: 'failCommand', mode: 'alwaysOn' },
    data: {
      failCommands: [command],
      appName: `silo-${service}`,
      ...{ blockConnection: true, blockTimeMS: heldMs },
      ...(!isCommit && { namespace: `${db.databaseName}.${collection}` }),
      ...(outcome === 'lost' && { closeConnection: true }),
    },
  });
  if (outcome === 'done') {
    await admin.command({ configureFailPoint: withoutTimeLimits, mode: 'alwaysOn' });
  }
  const running = async (query: Document): Promise<Document[]> => {
    const stages = [{ $currentOp: { allUsers: true } }, { $match: query }];
    return await admin.aggregate(stages).toArray();
  };
  const matching = async (): Promise<Document[]> => {
    const which = { [`command.${command}`]: isCommit ? 1 : collection };
    const operations = await running({ appName: `silo-${service}`, ...which });
    return isCommit ? await thoseThatInserted(db, operations) : operations;
  };
  let opids: unknown[] = [];
  return {
    entered: () =>
      eventually(async () => {
        const operations = await matching();
        if (operations.length < times) throw new Error(`no ${command} of ${collection} is held`);
        opids = operations.map(({ opid }) => opid);
      }),
    release: async () => {
      // Not before, so that a command that is running but not yet held cannot pass.
      await eventually(async () => {
        if ((await running({ opid: { $in: opids } })).length > 0) throw new Error('still held');
      });
      await releaseAll(mongo);
      if (isCommit) await forgetInserts(db);
    },
  };
}

/**
 * Stops every such write in its middle until it is released, and then lets it continue. An update
 * is one of one document or many, not a `findOneAndUpdate`.
 */
export async function hangWrite(
  mongo: MongoClient,
  { service, kind, collection, skip = 0 }: Write,
): Promise<Holding> {
  const admin = mongo.db('admin');
  const configureFailPoint = writeFailPoints[kind];
  const nss = `silo_${service}.${collection}`;
  const mode = skip === 0 ? 'alwaysOn' : { skip };
  await admin.command({ configureFailPoint, mode, data: { nss } });
  return {
    entered: () =>
      eventually(async () => {
        const hanging = { ns: nss, failpointMsg: configureFailPoint };
        const stages = [{ $currentOp: { allUsers: true } }, { $match: hanging }];
        if (!(await admin.aggregate(stages).hasNext()))
          throw new Error(`no ${kind} of ${nss} hangs`);
      }),
    release: async () => {
      await admin.command({ configureFailPoint, mode: 'off' });
    },
  };
}

/**
 * Delays the execution of every commit of a service by this time, until all fail points are
 * released.
 */
export async function delayCommits(
  mongo: MongoClient,
  service: ServiceName,
  delayMs: number,
): Promise<void> {
  await mongo.db('admin').command({
    ...{ configureFailPoint: 'failCommand', mode: 'alwaysOn' },
    data: {
      ...{ failCommands: ['commitTransaction'], appName: `silo-${service}` },
      ...{ blockConnection: true, blockTimeMS: delayMs },
    },
  });
}

/** Releases everything that is held. */
export async function releaseAll(mongo: MongoClient): Promise<void> {
  const all = ['failCommand', withoutTimeLimits, ...Object.values(writeFailPoints)];
  for (const configureFailPoint of all) {
    await mongo.db('admin').command({ configureFailPoint, mode: 'off' });
  }
}

// A commit does not name its changes, and a service makes other commits than those of the tested
// call: of sequencing, activity, sagas. The profiler identifies the transactions that inserted into
// a collection.

async function recordInserts(db: Db, collection: string): Promise<void> {
  await forgetInserts(db);
  const filter = { ns: `${db.databaseName}.${collection}`, op: 'insert' };
  await db.command({ profile: 1, filter });
}

async function forgetInserts(db: Db): Promise<void> {
  await db.command({ profile: 0, filter: 'unset' });
  await db.dropCollection('system.profile');
}

async function thoseThatInserted(db: Db, operations: Document[]): Promise<Document[]> {
  const inserts = await db.collection('system.profile').find().toArray();
  const transactions = new Set(inserts.map(({ command }) => transactionOf(command)));
  return operations.filter(({ command }) => transactions.has(transactionOf(command)));
}

function transactionOf({ lsid, txnNumber }: Document): string {
  return `${lsid?.id} ${txnNumber}`;
}
