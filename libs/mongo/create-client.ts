import { beginChildSpan, isTracing, type OpenSpan } from '@silo/runtime/tracing.ts';
import { MongoClient, type MongoClientOptions } from 'mongodb';

/** A client that is not connected yet. If this process traces, its commands become spans. */
export function createClient(url: string, options: MongoClientOptions): MongoClient {
  const client = new MongoClient(url, { ...options, monitorCommands: isTracing() });
  if (isTracing()) traceCommands(client);
  return client;
}

/**
 * Makes each command of the client a span of the active trace, if there is one. The client needs
 * `monitorCommands`. Records only names: no documents, and not the server's message, which may
 * quote one.
 */
function traceCommands(client: MongoClient): void {
  const open = new Map<number, OpenSpan>();
  client.on('commandStarted', ({ requestId, commandName, databaseName, command }) => {
    const collection: unknown = command[commandName];
    const target = typeof collection === 'string' ? `${databaseName}.${collection}` : databaseName;
    const span = beginChildSpan({
      name: `${commandName} ${target}`,
      kind: 'client',
      attributes: {
        'db.system.name': 'mongodb',
        'db.namespace': databaseName,
        'db.operation.name': commandName,
        ...(typeof collection === 'string' && { 'db.collection.name': collection }),
      },
    });
    if (span !== undefined) open.set(requestId, span);
  });
  // Every started command succeeds or fails, so each span ends.
  const end = (requestId: number, error?: string) => {
    open.get(requestId)?.end({ error });
    open.delete(requestId);
  };
  client.on('commandSucceeded', ({ requestId }) => end(requestId));
  client.on('commandFailed', ({ requestId, failure }) => {
    end(requestId, 'codeName' in failure ? String(failure.codeName) : failure.name);
  });
}
