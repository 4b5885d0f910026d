/** Like repeats.test.ts, for the mutations that need two regions. */

import { type Migrant, newMigrant, planOf, requested } from '../scenarios/migration-support.ts';
import { either } from '../scenarios/mutation-support.ts';
import { regionScenarios } from '../scenarios/region-scenarios.ts';
import { demandAuthorizedRepeats, type WeakKeys } from './authorized-repeats.ts';
import { createKey } from './world.ts';

const test = regionScenarios();

/** A key of the source's admin that reaches only the project, and not its organization. */
async function ofProjectAlone({ source, projectId }: Migrant): Promise<WeakKeys> {
  const { secret } = await createKey(source.api, { scopes: ['*'], projectIds: [projectId] });
  return { 'restricted to the project alone': { secret, reason: 'KEY_RESTRICTED' } };
}

test('RequestMigration: a repeat is authorized like the call', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu });
  const organizationId = migrant.source.organization.id;
  const prepared = either(
    migrant.source,
    ['', 'f00d'],
    (planFingerprint, requestId, { migrations }) =>
      migrations.requestMigration({ ...planOf(migrant), planFingerprint, requestId }),
    { organizationId },
  );
  const weakKeys = await ofProjectAlone(migrant);
  const path = '/silo.project.v1.MigrationService/RequestMigration';
  await demandAuthorizedRepeats(t, us, path, { ...prepared, weakKeys });
});

test('AcceptMigration: a repeat is authorized like the call', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu });
  const { id: migrationId } = await requested(migrant);
  const { destination } = migrant;
  const organizationId = destination.organization.id;
  const prepared = either(
    destination,
    [migrationId, migrationId],
    (migrationId, requestId, { migrations }) =>
      migrations.acceptMigration({ migrationId, organizationId, requestId }),
    { organizationId },
  );
  const path = '/silo.project.v1.MigrationService/AcceptMigration';
  await demandAuthorizedRepeats(t, eu, path, prepared);
});

test('CancelMigration: a repeat is authorized like the call', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu });
  const { id: migrationId } = await requested(migrant);
  const organizationId = migrant.source.organization.id;
  const prepared = either(
    migrant.source,
    [migrationId, migrationId],
    (migrationId, requestId, { migrations }) =>
      migrations.cancelMigration({ migrationId, organizationId, requestId }),
    { organizationId },
  );
  const path = '/silo.project.v1.MigrationService/CancelMigration';
  await demandAuthorizedRepeats(t, us, path, prepared);
});
