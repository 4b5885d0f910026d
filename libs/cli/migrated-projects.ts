import { type Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { fold } from '@silo/runtime/fold.ts';
import type { Api } from './api.ts';
import { CallFailure } from './failure.ts';

/**
 * The migration that took a project to another region, and the organization that the project left.
 */
export type MigratedAway = { migration: Migration; organizationName: string };

// Reads the latest migrations of at most this number of organizations.
const organizationsMax = 20;
const listedMax = 1_000;

/**
 * The projects that have left the caller's organizations for another region and have not come back,
 * with the names that they had. Leaves out what the caller may not see.
 */
export async function migratedAway(
  { organizations, migrations }: Pick<Api, 'organizations' | 'migrations'>,
  region: string,
): Promise<MigratedAway[]> {
  const page = { pageToken: '' };
  const own = await organizations
    .listOrganizations({ ...page, pageSize: organizationsMax })
    .then((answer) => answer.organizations, orNothing);
  const listed = await Promise.all(
    own.map(async ({ id: organizationId, name: organizationName }) => {
      const found = await migrations
        .listMigrations({ ...page, organizationId, pageSize: listedMax })
        .then((answer) => answer.migrations, orNothing);
      return found.map((migration) => ({ migration, organizationName }));
    }),
  );
  return stillAway(listed.flat(), region);
}

/**
 * Selects the migrations whose project has not come back.
 * @internal Exported for tests.
 */
export function stillAway(all: readonly MigratedAway[], region: string): MigratedAway[] {
  const done = all
    .filter(({ migration: { state } }) => state === MigrationState.MIGRATION_STATE_DONE)
    .toSorted((a, b) => finishMs(b) - finishMs(a));
  const lastOf = new Map<string, MigratedAway>();
  for (const each of done) {
    const { projectId } = each.migration;
    if (!lastOf.has(projectId)) lastOf.set(projectId, each);
  }
  return [...lastOf.values()].filter(({ migration }) => migration.sourceRegion === region);
}

/** The names by which a command line may refer to it: its own, and the full one. */
export function namesOfMigrated({ migration, organizationName }: MigratedAway): string[] {
  return [migration.projectName, `${organizationName}/${migration.projectName}`];
}

/** Whether SearchProjects would find the project by this text, if it were here. */
export function isFoundBy(query: string): (migrated: MigratedAway) => boolean {
  const wanted = fold(query);
  return ({ migration, organizationName }) =>
    [migration.projectName, organizationName].some((name) => fold(name).includes(wanted));
}

function finishMs({ migration }: MigratedAway): number {
  return migration.finishTime?.getTime() ?? 0;
}

function orNothing(error: unknown): never[] {
  if (error instanceof CallFailure) return [];
  throw error;
}
