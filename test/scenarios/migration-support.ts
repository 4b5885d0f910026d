import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { type Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import type { SignedUp } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import type { RegionalSilo } from '../harness/regions.ts';
import { choosePlan, present } from './choose-plan.ts';

/** The parts of a region that the start of a migration needs. */
export type MigrationRegion = Pick<RegionalSilo, 'region' | 'signUp' | 'internal'>;

/** The regions of a migration: the source and the destination. */
export type Ends<Region extends MigrationRegion = RegionalSilo> = { from: Region; to: Region };

/** A project that may migrate, and the admins of both regions. */
export type Migrant<Region extends MigrationRegion = RegionalSilo> = Ends<Region> & {
  source: SignedUp;
  destination: SignedUp;
  projectId: string;
  projectToken: string;
};

/** An account with organizations on Scale in both regions, and a second project in the first. */
export async function newMigrant<Region extends MigrationRegion>(
  { from, to }: Ends<Region>,
  name = 'Ada',
): Promise<Migrant<Region>> {
  const [source, destination] = await Promise.all([
    onScale(from, name),
    onScale(to, `${name} there`),
  ]);
  const request = { name: 'Web', settings: undefined, requestId: '' };
  const { project, projectToken } = await source.api.projects.createProject({
    ...request,
    organizationId: source.organization.id,
  });
  return { from, to, source, destination, projectId: present(project).id, projectToken };
}

/** A new account whose organization has the plan Scale, in this region. */
async function onScale({ signUp }: MigrationRegion, name: string): Promise<SignedUp> {
  const person = await signUp(name);
  await choosePlan(person.api, person.organization.id, Plan.PLAN_SCALE);
  return person;
}

/** The parameters of the project's migration. */
export function planOf({ projectId, to, destination }: Migrant<MigrationRegion>) {
  return {
    projectId,
    destinationRegion: to.region,
    destinationOrganizationId: destination.organization.id,
  };
}

export async function previewed(migrant: Migrant) {
  return await migrant.source.api.migrations.previewMigration(planOf(migrant));
}

export async function requested(
  migrant: Migrant<MigrationRegion>,
  planFingerprint = '',
): Promise<Migration> {
  const request = { ...planOf(migrant), planFingerprint, requestId: '' };
  const { migration } = await migrant.source.api.migrations.requestMigration(request);
  return present(migration);
}

export async function accepted(migrant: Migrant<MigrationRegion>): Promise<Migration> {
  const { id: migrationId } = await requested(migrant);
  const { destination } = migrant;
  const organizationId = destination.organization.id;
  const request = { migrationId, organizationId, requestId: '' };
  return present((await destination.api.migrations.acceptMigration(request)).migration);
}

/** Requests, accepts and starts a migration. */
export async function started(migrant: Migrant<MigrationRegion>): Promise<Migration> {
  const { id: migrationId } = await accepted(migrant);
  const answer = await staffOf(migrant.to).startMigration({ migrationId });
  return present(answer.migration);
}

/** The staff's methods of a region. */
export function staffOf({ internal }: Pick<RegionalSilo, 'internal'>) {
  return internal().project.migrations;
}

/** The record of a migration in a region. */
export async function recordIn(
  region: Pick<MigrationRegion, 'internal'>,
  migrationId: string,
): Promise<Migration> {
  return present((await staffOf(region).getMigration({ migrationId })).migration);
}

const ended: readonly MigrationState[] = [
  MigrationState.MIGRATION_STATE_DONE,
  MigrationState.MIGRATION_STATE_CANCELLED,
  MigrationState.MIGRATION_STATE_FAILED,
];

/** Waits until the region's record has this state; throws at once if it ends in another one. */
export async function untilState(
  region: RegionalSilo,
  migrationId: string,
  state: MigrationState,
): Promise<Migration> {
  const found = await eventually(async () => {
    const record = await recordIn(region, migrationId);
    if (record.state !== state && !ended.includes(record.state)) {
      throw new Error(`${region.region} has ${JSON.stringify(record)}`);
    }
    return record;
  });
  if (found.state === state) return found;
  throw new Error(`the migration ended otherwise: ${JSON.stringify(found)}`);
}

/** Waits until both regions have recorded that the migration is done. */
export async function untilDone({ from, to }: Ends, migrationId: string): Promise<Migration> {
  const done = await untilState(to, migrationId, MigrationState.MIGRATION_STATE_DONE);
  await untilState(from, migrationId, MigrationState.MIGRATION_STATE_DONE);
  return done;
}

/** The names of a project's events, read through its API. */
export async function namesIn({ api }: Migrant['source'], projectId: string): Promise<string[]> {
  const names: string[] = [];
  let pageToken = '';
  do {
    const request = { projectId, filter: undefined, pageSize: 1_000, pageToken };
    const page = await api.events.queryEvents(request);
    names.push(...page.events.map(({ name }) => name));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return names;
}
