import type { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { fold } from '@silo/runtime/fold.ts';
import { isId } from '@silo/tokens/ids.ts';
import type { Cli } from './cli.ts';
import { CallFailure, Failure, usage } from './failure.ts';
import { present } from './find.ts';
import { projectIdsElsewhere } from './other-regions.ts';
import { connectStaff, type StaffOptions, whereOf } from './staff.ts';

/**
 * Selects the migrations of the caller's organizations, or for staff all migrations of a region.
 */
export type MigrationOptions = StaffOptions & {
  staff?: true | undefined;
  org?: string | undefined;
};

type Page = { pageSize: number; pageToken: string };
type Listed = { migrations: Migration[]; nextPageToken: string };

/** The migrations of one organization, or of a region. */
type Scope = {
  /** Undefined for a region, or if the name was not looked up. */
  organizationName?: string;
  list(page: Page): Promise<Listed>;
  get(migrationId: string): Promise<Migration>;
  watch(migrationId: string): AsyncIterable<{ migration?: Migration | undefined }>;
  cancel(migrationId: string): Promise<Migration>;
};

/** A migration, and how to call its region. */
export type FoundMigration = { migration: Migration; scope: Scope };

const organizationsMax = 20;
const listedMax = 200;

/** The scope in which to list migrations. */
export async function migrationScope(cli: Cli, options: MigrationOptions): Promise<Scope> {
  requireOneCaller(options);
  if (options.staff) return staffScope(await connectStaff(cli, options));
  const { find } = await cli.signedIn();
  return organizationScope(cli, await find.idOf.organization(options.org));
}

/**
 * Finds a migration by its id, or the latest one of a project by the project's name or id. Without
 * an argument it is the current project's; staff must name one.
 */
export async function findMigration(
  cli: Cli,
  given: string | undefined,
  options: MigrationOptions,
): Promise<FoundMigration> {
  requireOneCaller(options);
  const scopes = await scopesOf(cli, options);
  if (given !== undefined && isId('migration', given)) {
    const found = foundById(scopes, given);
    return await (options.staff ? found.catch(unknownTo(options)) : found);
  }
  const wanted = given ?? (await currentProjectId(cli, options));
  const listed = await Promise.all(
    scopes.map(async (scope) => {
      const { migrations } = await scope.list({ pageSize: listedMax, pageToken: '' });
      return migrations.map((migration) => ({ migration, scope }));
    }),
  );
  const all = listed.flat().toSorted((a, b) => requestMs(b) - requestMs(a));
  const latest = all.find(isOf(wanted)) ?? (await latestOfPresent(cli, all, wanted, options));
  if (latest !== undefined) return latest;
  const what = given === undefined ? 'The current project' : `"${given}"`;
  if (options.staff) {
    const known = `${what} has no migration that this region knows.`;
    throw new Failure('hidden', known, staffAdvice(options));
  }
  throw new Failure('hidden', `${what} has no migration that you may see.`, 'silo migrate list');
}

function staffAdvice(options: StaffOptions): string {
  const accepted = 'the destination knows one once an admin there has accepted it';
  return `silo migrate list --staff${whereOf(options)}; ${accepted}: silo migrate accept MIGRATION`;
}

function unknownTo(options: StaffOptions): (error: unknown) => never {
  return (error) => {
    throw isUnknown(error) ? error.advising(staffAdvice(options)) : error;
  };
}

function isUnknown(error: unknown): error is CallFailure {
  return error instanceof CallFailure && error.refusal?.reasonName === 'MIGRATION_NOT_FOUND';
}

/**
 * Rejects options that belong to the other kind of caller: they would be ignored, and the answer
 * would come from another region.
 * @internal Exported for tests.
 */
export function requireOneCaller({ staff, org, dev, endpoints }: MigrationOptions): void {
  if (!staff && (dev || endpoints !== undefined)) {
    throw usage('--dev and --endpoints are for staff.', 'add --staff, or give --profile');
  }
  if (staff && org !== undefined) {
    throw usage('--org is not for staff, who sees all migrations of a region.', 'leave --org out');
  }
}

function requestMs({ migration }: FoundMigration): number {
  return migration.requestTime?.getTime() ?? 0;
}

/** Matches the project's id, its name when the migration was requested, or `Organization/Name`. */
function isOf(wanted: string): (found: FoundMigration) => boolean {
  return ({ migration: { projectId, projectName }, scope: { organizationName } }) =>
    projectId === wanted ||
    [projectName, `${organizationName}/${projectName}`].some((name) => fold(name) === fold(wanted));
}

/**
 * The latest migration of a project that was renamed since, whether the project is here or in the
 * other region.
 */
async function latestOfPresent(
  cli: Cli,
  all: readonly FoundMigration[],
  given: string,
  { staff }: MigrationOptions,
): Promise<FoundMigration | undefined> {
  if (staff || all.length === 0) return undefined;
  const { find } = await cli.signedIn();
  const id = await find.idOf.project(given).catch((error: unknown) => {
    if (error instanceof Failure) return undefined;
    throw error;
  });
  return (
    all.find(({ migration }) => migration.projectId === id) ??
    (await latestOfElsewhere(cli, all, given))
  );
}

async function latestOfElsewhere(cli: Cli, all: readonly FoundMigration[], given: string) {
  const ids = await projectIdsElsewhere(cli, given);
  return all.find(({ migration }) => ids.includes(migration.projectId));
}

async function currentProjectId(cli: Cli, { staff }: MigrationOptions): Promise<string> {
  if (staff) throw new Failure('usage', 'Which migration?', 'silo migrate list --staff');
  const { find } = await cli.signedIn();
  return find.idOf.project(undefined);
}

/** The migration in the first scope that contains it. */
async function foundById(scopes: readonly Scope[], id: string): Promise<FoundMigration> {
  let refusal: unknown = new Failure(
    'hidden',
    'You are in no organization, or your key reaches none.',
    'silo keys list shows what a key reaches',
  );
  for (const scope of scopes) {
    try {
      return { migration: await scope.get(id), scope };
    } catch (error) {
      if (!isUnknown(error)) throw error;
      refusal = error;
    }
  }
  throw refusal;
}

async function scopesOf(cli: Cli, options: MigrationOptions): Promise<Scope[]> {
  if (options.staff || options.org !== undefined) return [await migrationScope(cli, options)];
  const { find } = await cli.signedIn();
  const organizations = await find.organizations();
  return organizations
    .slice(0, organizationsMax)
    .map(({ id, name }) => ({ ...organizationScope(cli, id), organizationName: name }));
}

function organizationScope(cli: Cli, organizationId: string): Scope {
  const api = async () => (await cli.signedIn()).api.migrations;
  return {
    list: async (page) => (await api()).listMigrations({ organizationId, ...page }),
    get: async (migrationId) =>
      present((await (await api()).getMigration({ migrationId, organizationId })).migration),
    watch: async function* (migrationId) {
      yield* (await api()).watchMigration({ migrationId, organizationId });
    },
    cancel: async (migrationId) => {
      const request = { migrationId, organizationId, requestId: '' };
      return present((await (await api()).cancelMigration(request)).migration);
    },
  };
}

function staffScope(staff: Awaited<ReturnType<typeof connectStaff>>): Scope {
  return {
    list: (page) => staff.listMigrations(page),
    get: async (migrationId) => present((await staff.getMigration({ migrationId })).migration),
    watch: (migrationId) => staff.watchMigration({ migrationId }),
    cancel: async (migrationId) =>
      present((await staff.cancelMigration({ migrationId })).migration),
  };
}
