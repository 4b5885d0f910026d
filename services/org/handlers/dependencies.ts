import type { Access } from '@silo/access/access.ts';
import type { EventLog } from '@silo/log/event-log.ts';
import type { Reading } from '@silo/rpc/reading.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import type { Sagas } from '@silo/saga/sagas.ts';
import type { Follower } from '../loops/activity-follower.ts';
import type { SagaDefinitions } from '../sagas/definitions.ts';
import type { OrgFactReader } from '../store/fact-reader.ts';
import type { Stores } from '../store/set-up.ts';

/** What the handlers of the org service work with. */
export type Dependencies = {
  stores: Stores;
  factReader: OrgFactReader;
  eventLog: EventLog;
  access: Access;
  sagas: Sagas;
  definitions: SagaDefinitions;
  follower: Follower;
  /** Of reads whose cost grows with what is stored. */
  reading: Reading;
  clock: Clock;
  /** In which new organizations live. */
  region: 'us' | 'eu';
  signup: 'open' | 'closed';
};
