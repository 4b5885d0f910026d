import { randomUUID } from 'node:crypto';
import { silentLogger } from '@silo/runtime/log.ts';
import type { ExecutionContext } from 'ava';
import type { Db } from 'mongodb';
import { required } from '../../../test/harness/environment.ts';
import { untilAnswered } from '../../../test/harness/eventually.ts';
import { connectMongo, type MongoConnection } from '../connect.ts';
import { type Migration, migrate } from '../migrations.ts';

/**
 * Limits the tests that run at once. The tests of a file begin together, and more of them would
 * delay each other, and those of other files, for longer than a statement or a connection may take.
 */
const placesMax = 4;
let placesTaken = 0;
const waiting: (() => void)[] = [];
const placed = new WeakSet<ExecutionContext>();

/** Waits for a place, which the test keeps until its end. */
async function takePlace(t: ExecutionContext): Promise<void> {
  if (placed.has(t)) return;
  placed.add(t);
  if (placesTaken < placesMax) placesTaken++;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  t.teardown(() => {
    const next = waiting.shift();
    if (next === undefined) placesTaken--;
    else next();
  });
}

/** A database for one test, dropped at its end. Each connection stands for a process. */
export async function testDatabase(
  t: ExecutionContext,
): Promise<{ name: string; connect(): Promise<MongoConnection> }> {
  await takePlace(t);
  const slug = t.title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .slice(0, 30);
  const name = `${slug}_${randomUUID().slice(0, 8)}`;
  const open: MongoConnection[] = [];
  const connect = async () => {
    const url = new URL(required('MONGODB_URL'));
    // The driver checks a server again after this time when a fail point made it unknown; by
    // default after 10 s.
    url.searchParams.set('heartbeatFrequencyMS', '500');
    const options = { url: url.href, database: name, appName: name };
    const connection = await untilAnswered(() => connectMongo(options));
    open.push(connection);
    return connection;
  };
  const { db } = await connect();
  t.teardown(async () => {
    await db.dropDatabase();
    await Promise.all(open.map((connection) => connection[Symbol.asyncDispose]()));
  });
  return { name, connect };
}

/** Runs migrations as the start of a process does. */
export async function prepare(db: Db, migrations: readonly Migration[]): Promise<void> {
  const signal = AbortSignal.timeout(600_000);
  await migrate(db, migrations, { owner: randomUUID(), signal, log: silentLogger() });
}
