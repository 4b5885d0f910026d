import { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { Call } from '@silo/rpc/call.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { newId } from '@silo/tokens/ids.ts';
import type { ExecutionContext } from 'ava';
import type { CutoverDependencies } from '../handlers/peer/cutover.ts';
import type { OfferDependencies } from '../handlers/peer/offers.ts';
import { newMigration } from '../rules/new-migration.ts';
import { createAttemptStore } from '../store/attempts.ts';
import type { MigrationDocument, ProjectDocument } from '../store/documents.ts';
import { createMigratingProjectStore } from '../store/migrating-projects.ts';
import { migrationCollection } from '../store/migrations.ts';
import { testWorld, type World } from './support.ts';

const verifying = MigrationState.MIGRATION_STATE_VERIFYING;
const propagation = { positions: [], guards: 0, acknowledged: 0, expired: 0, elapsed: undefined };
const within = () => AbortSignal.timeout(600_000);

/** A call of the project service in the region `eu`. */
export function fromEu(signal?: AbortSignal): Call {
  return fromRegion('eu', signal);
}

/** A call of the project service in another region. */
export function fromRegion(name: string, signal = AbortSignal.timeout(600_000)): Call {
  return {
    ...{ id: 'call', actor: `region/${name}`, method: '/test/Test', log: silentLogger() },
    caller: { kind: 'certificate', role: Role.ROLE_REGION, name },
    ...{ signal, authorization: undefined, remainingMs: () => 60_000 },
  };
}

/** A project of `us`, of which `eu` has copied everything except the last changes. */
export type Offered = World & {
  dependencies: CutoverDependencies & OfferDependencies;
  migration: MigrationDocument;
  retired: string[];
  /** How the attempts have ended. */
  holds: string[];
  project(): Promise<ProjectDocument | null>;
  record(): Promise<MigrationDocument | null>;
  count(): Promise<number | undefined>;
  attempt(number: number): { migrationId: string; attempt: number };
};

export async function offered(
  t: ExecutionContext,
  values: Partial<ProjectDocument> = {},
): Promise<Offered> {
  const world = await testWorld(t);
  const { db } = world;
  const { id: organizationId } = await world.organization(world.key());
  const { _id: projectId, name } = await world.addProject(organizationId, 'Leaving');
  const projects = db.collection<ProjectDocument>('projects');
  await projects.updateOne({ _id: projectId }, { $set: values });
  const destination = newId('org_eu');
  const migration = newMigration({
    ...{ _id: newId('mig_us'), side: 'source', state: verifying },
    ...{ projectId, projectName: name, sourceRegion: 'us', destinationRegion: 'eu' },
    ...{ sourceOrganizationId: organizationId, destinationOrganizationId: destination },
    ...{ actor: 'acc_1', requesterAccountId: 'acc_1', requestTime: new Date() },
    eventsTotal: undefined,
  });
  const records = migrationCollection(db);
  await records.insertOne(migration);
  const holds: string[] = [];
  const dependencies: CutoverDependencies & OfferDependencies = {
    ...world,
    attempts: createAttemptStore(db),
    migratingProjects: createMigratingProjectStore(db),
    deletions: world.eventDeletions,
    propagate: async () => propagation,
    metrics: { held: (outcome) => holds.push(outcome) },
    secrets: { readProjectToken: async () => ({ token: 'phc_test', revision: 3 }) },
  };
  return {
    ...world,
    ...{ dependencies, migration, retired: [], holds },
    project: () => projects.findOne({ _id: projectId }),
    record: () => records.findOne({ _id: migration._id }),
    count: async () =>
      (await world.slots.getMany([organizationId], within())).get(organizationId)?.count,
    attempt: (number) => ({ migrationId: migration._id, attempt: number }),
  };
}
