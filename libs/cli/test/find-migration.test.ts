import { Migration } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { Failure } from '../failure.ts';
import { findMigration } from '../find-migration.ts';

const [projectId, organizationId] = [newId('prj'), newId('org_us')];
const migration = Migration.fromPartial({ id: newId('mig_us'), projectId, projectName: 'Web' });

/**
 * A caller in one organization that has the migration; the caller cannot see the project any more.
 */
const cli = {
  profiles: { names: async () => [] },
  signedIn: async () => ({
    profile: { region: 'us' },
    api: { migrations: { listMigrations: async () => ({ migrations: [migration] }) } },
    find: {
      organizations: async () => [{ id: organizationId, name: 'Example' }],
      idOf: {
        project: async () => {
          throw new Failure('refused', 'It has migrated.');
        },
      },
    },
  }),
};

for (const [what, given] of [
  ['the id of its project', projectId],
  ['the name of its project', 'web'],
  ['the organization and the name', 'Example/Web'],
] as const) {
  test(`a migration is found after it is done by ${what}`, async (t) => {
    const found = await findMigration(cli as never, given, {});
    t.is(found.migration, migration);
  });
}

test('a migration of an unknown project is not found', async (t) => {
  const found = findMigration(cli as never, 'Acme/Web', {});
  await t.throwsAsync(found, { instanceOf: Failure, message: /has no migration that you may see/ });
});

test('a profile that cannot be read does not hide the answer of another profile', async (t) => {
  const damaged = {
    names: async () => ['eu'],
    read: async () => {
      throw new Failure('usage', 'eu.json is damaged.');
    },
  };
  const found = findMigration({ ...cli, profiles: damaged } as never, 'Acme/Web', {});
  await t.throwsAsync(found, { instanceOf: Failure, message: /has no migration that you may see/ });
});

test('the advice to staff says that a region lists a migration after it is accepted', async (t) => {
  const staffed = {
    terminal: { directory: '/', environment: environment },
    open: () => ({ listMigrations: async () => ({ migrations: [] }) }),
  };
  const found = findMigration(staffed as never, 'Web', { staff: true });
  const failure = await t.throwsAsync(found, { instanceOf: Failure });
  t.is(failure?.message, '"Web" has no migration that this region knows.');
  t.is(
    failure?.next,
    'silo migrate list --staff; the destination knows one once an admin there has accepted it: silo migrate accept MIGRATION',
  );
});

const environment = {
  ...{ TLS_CA: 'ca', TLS_CERT: 'cert', TLS_KEY: 'key' },
  PROJECT_INTERNAL_ADDRESS: '127.0.0.1:1',
};
