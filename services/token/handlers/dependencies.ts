import type { Access, FactReader } from '@silo/access/access.ts';
import type { EventLog } from '@silo/log/event-log.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import type { Peers } from '@silo/service/peers.ts';
import type { LocalRegistry } from '@silo/service/service-definition.ts';
import type { EndedKeyStore } from '../store/ended-keys.ts';
import type { KeyStore } from '../store/keys.ts';
import type { ProjectTokenStore } from '../store/project-tokens.ts';

/** The dependencies of this service's handlers. */
export type Dependencies = {
  eventLog: EventLog;
  projectTokens: ProjectTokenStore;
  keys: KeyStore;
  endedKeys: EndedKeyStore;
  factReader: Pick<FactReader, 'token' | 'key'>;
  access: Access;
  registry: LocalRegistry;
  peers: Pick<Peers, 'org'>;
  clock: Clock;
};
