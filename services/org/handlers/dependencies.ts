import type { Access } from '@silo/access/access.ts';
import type { EventLog } from '@silo/log/event-log.ts';
import type { Reading } from '@silo/rpc/reading.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import type { Sagas } from '@silo/saga/sagas.ts';
import type { Follower } from '../loops/activity-follower.ts';
import type { SagaDefinitions } from '../sagas/definitions.ts';
import type { OrgFactReader } from '../store/fact-reader.ts';
import type { Stores } from '../store/set-up.ts';

/** The dependencies of the org service's handlers. */
export type Dependencies = {
  stores: Stores;
  factReader: OrgFactReader;
  eventLog: EventLog;
  access: Access;
  sagas: Sagas;
  definitions: SagaDefinitions;
  follower: Follower;
  /** Limits concurrent reads whose cost grows with the amount of stored data. */
  reading: Reading;
  clock: Clock;
  /** The region in which new organizations are created. */
  region: 'us' | 'eu';
  signup: 'open' | 'closed';
};
