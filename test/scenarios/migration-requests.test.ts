/** Who may request, accept and cancel a migration between two regions, and what is refused. */
import { randomUUID } from 'node:crypto';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { newId } from '@silo/tokens/ids.ts';
import { hideMigration, ofMigrations, ofOffers } from '../harness/id-requests.ts';
import { refused } from '../harness/refusals.ts';
import {
  type Migrant,
  newMigrant,
  planOf,
  previewed,
  requested,
  staffOf,
} from './migration-support.ts';
import { regionScenarios } from './region-scenarios.ts';
import { sameReads } from './same-reads.ts';
import { sameRefusal } from './same-refusal.ts';
import { present } from './support.ts';

const test = regionScenarios();
const { MIGRATION_STATE_CANCELLED: cancelled } = MigrationState;

test('a request id has one answer and one effect, however often and concurrently it is used', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu }, 'Hedy');
  const { source, destination } = migrant;
  /** Calls many times at once with one id; another request with that id is refused. */
  const once = async <T>(call: (requestId: string, other?: true) => Promise<T>): Promise<T> => {
    const requestId = randomUUID();
    const calls = Array.from({ length: 10 }, () => call(requestId));
    const [first, ...answers] = await Promise.all(calls);
    for (const answer of answers) t.deepEqual(answer, first);
    t.deepEqual(await call(requestId), first);
    await refused(t, call(requestId, true), 'REQUEST_ID_REUSED');
    return present(first);
  };
  const request = { ...planOf(migrant), planFingerprint: '' };
  const { migration } = await once((requestId, other) =>
    source.api.migrations.requestMigration({
      ...{ ...request, requestId },
      planFingerprint: other ? 'f00d' : '',
    }),
  );
  const migrationId = present(migration).id;
  const another = () => newId('mig_us');
  await once((requestId, other) =>
    destination.api.migrations.acceptMigration({
      migrationId: other ? another() : migrationId,
      ...{ organizationId: destination.organization.id, requestId },
    }),
  );
  await once((requestId, other) =>
    source.api.migrations.cancelMigration({
      migrationId: other ? another() : migrationId,
      ...{ organizationId: source.organization.id, requestId },
    }),
  );
  const { migrations } = await source.api.migrations.listMigrations({
    ...{ organizationId: source.organization.id, pageSize: 0, pageToken: '' },
  });
  t.is(migrations.length, 1);
});

test('a project that may not migrate is refused with the reason', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu }, 'Gina');
  const { source, destination, projectId } = migrant;
  const { migrations } = source.api;
  const to = (destinationRegion: string, destinationOrganizationId: string) =>
    migrations.previewMigration({ projectId, destinationRegion, destinationOrganizationId });
  const there = destination.organization.id;
  await refused(t, to('us', source.organization.id), 'CROSS_REGION');
  await refused(t, to('de', there), 'CROSS_REGION');
  await refused(t, to('eu', source.organization.id), 'ORGANIZATION_NOT_FOUND');
  const nobody = there.replace(/.{4}$/, '0000');
  await refused(t, to('eu', nobody), 'ORGANIZATION_NOT_FOUND');
  const [stranger, small] = [await us.signUp('Stranger'), await eu.signUp('Small')];
  const strange = { ...migrant, source: stranger };
  await refused(t, previewed(strange), 'PROJECT_NOT_FOUND');
  const free = { ...migrant, source: stranger, projectId: stranger.projectId };
  await refused(t, previewed(free), 'PLAN_REQUIRED');
  await refused(t, requested(free), 'PLAN_REQUIRED');
  await refused(t, requested(migrant, 'f00d'), 'PLAN_CHANGED');

  t.false((await previewed(migrant)).destinationLacksMigrations);
  const tooSmall = await previewed({ ...migrant, destination: small });
  t.like(tooSmall, { destinationLacksMigrations: true, destination: { limit: 1, countAfter: 2 } });

  const { id: migrationId } = await requested({ ...migrant, destination: small });
  await refused(t, requested(migrant), 'MIGRATION_IN_PROGRESS');
  const accept = (by: Migrant['source']) =>
    by.api.migrations.acceptMigration({
      ...{ migrationId, organizationId: by.organization.id, requestId: '' },
    });
  await refused(t, accept(small), 'PLAN_REQUIRED');
  await refused(t, accept(destination), 'MIGRATION_NOT_FOUND');
  await refused(t, staffOf(us).startMigration({ migrationId }), 'CROSS_REGION');
  await refused(t, staffOf(eu).startMigration({ migrationId }), 'MIGRATION_NOT_FOUND');
  await refused(t, staffOf(us).rollbackMigration({ migrationId }), 'MIGRATION_STATE');
  await refused(t, staffOf(us).purgeSource({ migrationId }), 'MIGRATION_STATE');
  const seen = { migrationId, organizationId: stranger.organization.id };
  await refused(t, stranger.api.migrations.getMigration(seen), 'MIGRATION_NOT_FOUND');
  const cancel = { migrationId, organizationId: source.organization.id, requestId: '' };
  t.is((await migrations.cancelMigration(cancel)).migration?.state, cancelled);
  await refused(t, accept(small), 'MIGRATION_STATE');
});

test('a migration of other organizations is, in both regions, as one that is not there', async (t) => {
  const { us, eu } = t.context.regions;
  const { id: hidden } = await requested(await newMigrant({ from: us, to: eu }, 'Lise'));
  const absent = () => newId('mig_us');
  const reason = 'MIGRATION_NOT_FOUND';
  const own = await us.signUp('Eve');
  await sameRefusal(t, ofMigrations, { api: own.api, own, hidden, absent, reason });
  const there = await eu.signUp('Eve there');
  const requests = { ...ofMigrations, ...ofOffers };
  await sameRefusal(t, requests, { api: there.api, own: there, hidden, absent, reason });
});

test('a check of a hidden migration makes the same reads as one of an absent migration, in both regions', async (t) => {
  const { us, eu } = t.context.regions;
  const { migrations, offers } = await hideMigration({ us, eu });
  const [own, there] = [await us.signUp('Eve'), await eu.signUp('Eve there')];
  await sameReads(t, migrations, { api: own.api, own }, [us, eu]);
  await sameReads(t, offers, { api: there.api, own: there }, [us, eu]);
});
