import { beginIncarnation } from '@silo/log/begin-incarnation.ts';
import type { Position } from '@silo/log/position.ts';
import { connectMongo, type MongoConnection, MongoUrlError } from '@silo/mongo/connect.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';

/** A service's log at the beginning of its new incarnation, after a backup was restored. */
type Begun = { service: ServiceName; position: Position };

/**
 * Begins a later incarnation of the log of every service. Services must not run: events that they
 * sequence before this belong to the earlier incarnation. Rejects if the database of a service does
 * not exist.
 */
export async function beginIncarnations(options: {
  url: string;
  databasePrefix: string;
}): Promise<Begun[]> {
  const { url, databasePrefix } = options;
  await using connection = await connectAsAdmin(url);
  const begun: Begun[] = [];
  for (const service of serviceNames) {
    const name = `${databasePrefix}_${service}`;
    const position = await beginIncarnation(connection.client.db(name));
    if (position === undefined) {
      throw new Error(`the database ${name} has no event log: restore all four databases`);
    }
    begun.push({ service, position });
  }
  return begun;
}

async function connectAsAdmin(url: string): Promise<MongoConnection> {
  try {
    return await connectMongo({ url, database: 'admin', appName: 'silo-admin' });
  } catch (error) {
    if (error instanceof MongoUrlError) throw error;
    throw new Error('no primary answers at MONGODB_URL, or it refuses the password', {
      cause: error,
    });
  }
}
