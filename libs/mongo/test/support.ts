import { randomUUID } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import { connectMongo, type MongoConnection } from '../connect.ts';

/** The replica set that the test runner started. */
export function mongodbUrl(): string {
  const url = process.env.MONGODB_URL;
  if (url === undefined) throw new Error('MONGODB_URL is not set: start tests with npm test');
  return url;
}

/** A database of the test's own, dropped when it ends. Each connection stands for a process. */
export async function testDatabase(
  t: ExecutionContext,
): Promise<{ name: string; connect(): Promise<MongoConnection> }> {
  const slug = t.title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .slice(0, 30);
  const name = `${slug}_${randomUUID().slice(0, 8)}`;
  const open: MongoConnection[] = [];
  const connect = async () => {
    const url = new URL(mongodbUrl());
    // A server that a fail point made unknown is looked at again after that; after 10 s else.
    url.searchParams.set('heartbeatFrequencyMS', '500');
    const connection = await connectMongo({ url: url.href, database: name, appName: name });
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

/** Tries `check` until it passes; rejects with its last failure after `withinMs`. */
export async function eventually<T>(check: () => T | Promise<T>, withinMs = 120_000): Promise<T> {
  const endMs = performance.now() + withinMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() >= endMs) throw error;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 20);
    await promise;
  }
}
