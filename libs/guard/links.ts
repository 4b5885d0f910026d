import type { FactReader } from '@silo/access/access.ts';
import type { NatsLink } from '@silo/events/connect.ts';
import type { LogReader } from '@silo/log/log-reader.ts';
import type { Source } from './core/position.ts';
import type { LeaseClient } from './registry-client.ts';

/** A guard's connections to the rest of the deployment. */
export type GuardLinks = {
  leases: LeaseClient;
  logs: Record<Source, Pick<LogReader, 'head' | 'read'>>;
  factReader: FactReader;
  nats: NatsLink;
  /** The subject prefix of events, such as `silo.v1`. */
  subjectPrefix: string;
};
