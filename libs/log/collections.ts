import type { RequestDocument } from '@silo/mongo/requests.ts';
import type { Collection, Db } from 'mongodb';
import type { EventDocument, LogDocument, OutboxGroup } from './documents.ts';

/** The collections of an event log, in the service's own database. */
export type LogCollections = {
  outbox: Collection<OutboxGroup>;
  events: Collection<EventDocument>;
  log: Collection<LogDocument>;
  requests: Collection<RequestDocument>;
};

/** The place of events that are not sequenced yet. */
export const waitingEvents = { collection: 'outbox', filter: {} };

/** Names the collections. Only majority-durable documents are read outside of a transaction. */
export function logCollections(db: Db): LogCollections {
  const options = { readConcern: { level: 'majority' }, writeConcern: { w: 'majority' } } as const;
  return {
    outbox: db.collection('outbox', options),
    events: db.collection('events', options),
    log: db.collection('log', options),
    requests: db.collection('requests', options),
  };
}
