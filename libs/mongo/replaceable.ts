import { ClientSession, type ClientSessionOptions, type Db, type MongoClient } from 'mongodb';

/**
 * A client for code that keeps it, its databases and its collections, while the client behind it is
 * replaced: each statement goes to the client that `current` returns at that time. A statement of a
 * session goes to the client that began the session, so a transaction ends where it began; so do
 * cursors and change streams. The driver cannot change the user of a client's connections.
 */
export function replaceable(current: () => MongoClient): MongoClient {
  const begunBy = new WeakMap<ClientSession, MongoClient>();
  const clientFor = (args: readonly unknown[]) => {
    const session = sessionIn(args);
    return (session && begunBy.get(session)) ?? current();
  };

  const collectionOf = (db: Db, of: (client: MongoClient) => Db, args: CollectionArgs) =>
    forward((client) => of(client).collection(...args), clientFor, { db });
  const dbOf = (of: (client: MongoClient) => Db): Db => {
    const db: Db = forward(of, clientFor, {
      client: replaced,
      collection: (...args: CollectionArgs) => collectionOf(db, of, args),
    });
    return db;
  };
  const replaced: MongoClient = forward((client) => client, clientFor, {
    db: (...args: Parameters<MongoClient['db']>) => dbOf((client) => client.db(...args)),
    startSession: (options?: ClientSessionOptions) => {
      const client = current();
      const session = client.startSession(options);
      begunBy.set(session, client);
      return session;
    },
  });
  return replaced;
}

type CollectionArgs = Parameters<Db['collection']>;

/** The session in the options of a statement. */
function sessionIn(args: readonly unknown[]): ClientSession | undefined {
  for (const arg of args) {
    const session = typeof arg === 'object' && arg !== null && Reflect.get(arg, 'session');
    if (session instanceof ClientSession) return session;
  }
  return undefined;
}

/** An object with the members of `of(client)`, which are looked up at each use. */
function forward<T extends object>(
  of: (client: MongoClient) => T,
  clientFor: (args: readonly unknown[]) => MongoClient,
  own: { [Key in keyof T]?: unknown },
): T {
  const made = new WeakMap<MongoClient, T>();
  const targetFor = (args: readonly unknown[]): T => {
    const client = clientFor(args);
    const target = made.get(client) ?? of(client);
    made.set(client, target);
    return target;
  };
  return new Proxy(own as T, {
    get: (_, property) => {
      if (Object.hasOwn(own, property)) return Reflect.get(own, property);
      const value: unknown = Reflect.get(targetFor([]), property);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        const target = targetFor(args);
        const method: unknown = Reflect.get(target, property);
        return typeof method === 'function' ? Reflect.apply(method, target, args) : method;
      };
    },
  });
}
