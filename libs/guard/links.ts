import type { Fills } from '@silo/access/access.ts';
import type { NatsLink } from '@silo/events/connect.ts';
import type { LogReader } from '@silo/log/log-reader.ts';
import type { Source } from './core/position.ts';
import type { LeaseRegistry } from './registry.ts';

/** What a guard reaches the rest of the deployment by. */
export type GuardLinks = {
  leases: LeaseRegistry;
  logs: Record<Source, Pick<LogReader, 'head' | 'read'>>;
  fills: Fills;
  nats: NatsLink;
  /** Of the events, such as `silo.v1`. */
  subjectPrefix: string;
};
