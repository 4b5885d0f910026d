import type { Transaction } from '@silo/log/event-log.ts';
import type { Propagate } from '@silo/rpc/propagation.ts';
import type { Clock, Sleep } from '@silo/runtime/clock.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { Peers } from '@silo/service/peers.ts';
import type { ServiceKit } from '@silo/service/service-definition.ts';
import type { Dependencies } from '../handlers/dependencies.ts';
import type { MigrationMetrics } from '../migration-metrics.ts';
import type { MigrationDocument } from '../store/documents.ts';
import type { EventRemoval } from '../store/event-removal.ts';
import type { MigratingProjectStore } from '../store/migrating-projects.ts';
import type { MigrationCopyStore } from '../store/migration-copy.ts';
import type { MigrationSource } from '../store/migration-source.ts';
import type { PropertyIndexStore } from '../store/property-indexes.ts';
import type { OpenCopy } from './copy-types.ts';

/** Dependencies of the work on migrations to this region. */
export type WorkDependencies = Pick<
  Dependencies,
  'slots' | 'eventLog' | 'migrations' | 'regions'
> & {
  db: ServiceKit['db'];
  migratingProjects: MigratingProjectStore;
  indexes: Pick<PropertyIndexStore, 'createPlace'>;
  secrets: Pick<
    Peers['token']['secrets'],
    'adoptProjectToken' | 'purgeProjectToken' | 'endProjectTokenAdoption'
  >;
  propagate: Propagate;
  openCopy: OpenCopy;
  copies: Pick<MigrationCopyStore, 'doubt' | 'end' | 'forget'>;
  removal: EventRemoval;
  migrationSource: Pick<MigrationSource, 'openReader'>;
  metrics: Pick<MigrationMetrics, 'copied'>;
  clock: Clock;
  sleep: Sleep;
  log: Log;
};

/** The work of one process on one migration. */
export type Work = { dependencies: WorkDependencies; fence: number; signal: AbortSignal };

/** Another process works on the migration now. */
export class Superseded extends Error {
  override readonly name = 'Superseded';

  constructor(id: string) {
    super(`another process works on ${id}`);
  }
}

/** Commits a change of the record. Throws Superseded if another process works on the migration. */
export async function decide(
  { dependencies, signal }: Work,
  { _id: id, actor }: MigrationDocument,
  change: (tx: Transaction) => Promise<MigrationDocument | undefined>,
): Promise<MigrationDocument> {
  const mutation = { id, actor, signal, authorization: undefined };
  const { value } = await dependencies.eventLog.decide(mutation, async (tx) => {
    const changed = await change(tx);
    // Throw inside the transaction, so that nothing of the change is committed.
    if (changed === undefined) throw new Superseded(id);
    return changed;
  });
  return value;
}
