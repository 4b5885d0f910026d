import assert from 'node:assert/strict';
import { eventMessages } from '@silo/log/decode-event.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import anyTest, { type TestFn } from 'ava';
import { eventually } from '../harness/eventually.ts';
import { startTestRegions, type TestRegions } from '../harness/regions.ts';
import { newMigrant, staffOf, started, untilDone } from './migration-support.ts';
import { type ReceivedMessage, subscribe } from './received-events.ts';
import { firstPage, present } from './support.ts';

const test = anyTest.serial as TestFn<{ regions: TestRegions }>['serial'];
test.before(async (t) => {
  t.context = { regions: await startTestRegions() };
});
test.after.always((t) => t.context.regions?.[Symbol.asyncDispose]());

/** The names of the events of one project, in the order of its service. */
function eventsOf(received: readonly ReceivedMessage[], projectId: string, service: string) {
  return received.flatMap(({ headers, body }) => {
    const [, of, name] = /^internal\.silo\.(\w+)\.(\w+)\.v1$/.exec(headers['ce-type'] ?? '') ?? [];
    return of === service && body.projectId === projectId ? [{ name, body, headers }] : [];
  });
}

/**
 * Leaves out cutover attempts that a busy machine made too long: each is released, and repeated.
 */
function withoutAttempts(names: readonly string[]): string[] {
  return names.filter(
    (name, index) => name !== 'released' && !(name === 'held' && names[index + 1] === 'released'),
  );
}

test('each region has the events of a migration and of the way back, with what a cache needs, and no secret', async (t) => {
  const { us, eu } = t.context.regions;
  await using inUs = await subscribe(us);
  await using inEu = await subscribe(eu);
  const migrant = await newMigrant({ from: us, to: eu });
  const { source, destination, projectId, projectToken } = migrant;
  const { id: migrationId } = await started(migrant);
  await untilDone(migrant, migrationId);
  const names = (side: typeof inUs, service: string) =>
    withoutAttempts(eventsOf(side.received, projectId, service).map(({ name = '' }) => name));
  const until = async (side: typeof inUs, service: string, expected: string[]) =>
    await eventually(() => assert.deepEqual(names(side, service), expected));
  await until(inUs, 'project', ['created', 'held', 'migrated']);
  await until(inUs, 'token', ['created', 'revoked']);
  await until(inEu, 'project', ['held', 'migrated']);
  await until(inEu, 'token', ['created']);

  const fingerprint = fingerprintOf(projectToken);
  const migrated = {
    ...{ projectId, migrationId, name: 'Web', oldRegion: 'us', newRegion: 'eu' },
    oldOrganizationId: source.organization.id,
    newOrganizationId: destination.organization.id,
  };
  for (const side of [inUs, inEu]) {
    const [held, end] = eventsOf(side.received, projectId, 'project').slice(-2);
    const organizationId = side === inUs ? migrated.oldOrganizationId : migrated.newOrganizationId;
    t.like(held?.body, { projectId, migrationId, organizationId });
    t.like(end?.body, migrated);
    t.true(Number(end?.body.revision) > Number(held?.body.revision));
    t.is(end?.headers['ce-source'], `/silo/${side === inUs ? 'us' : 'eu'}/project`);
    const { toJSON, fromJSON } = eventMessages['project.migrated'];
    t.deepEqual(toJSON(fromJSON(end?.body)), end?.body);
  }
  const [created, revoked] = eventsOf(inUs.received, projectId, 'token');
  t.like(created?.body, { fingerprint });
  t.like(revoked?.body, { fingerprint, organizationId: source.organization.id });
  t.is(revoked?.body.newFingerprint, undefined);
  t.like(eventsOf(inEu.received, projectId, 'token')[0]?.body, { fingerprint });

  for (const { api, organization } of [source, destination]) {
    const request = { organizationId: organization.id, projectId: '', ...firstPage };
    const entry = await eventually(async () => {
      const { entries } = await api.activity.listActivity(request);
      return present(entries.find((each) => each.subjectId === migrationId));
    });
    t.like(entry, {
      ...{ type: 'project.migrated', projectId },
      changes: [
        { field: 'region', from: 'us', to: 'eu' },
        { field: 'organization_id', from: source.organization.id, to: destination.organization.id },
      ],
    });
  }

  const { migration } = await staffOf(us).rollbackMigration({ migrationId });
  await untilDone({ from: eu, to: us }, present(migration).id);
  await until(inUs, 'project', ['created', 'held', 'migrated', 'held', 'migrated']);
  await until(inUs, 'token', ['created', 'revoked', 'created']);
  await until(inEu, 'project', ['held', 'migrated', 'held', 'migrated']);
  await until(inEu, 'token', ['created', 'revoked']);
  for (const side of [inUs, inEu]) {
    const revisions = ['project', 'token'].map((service) =>
      eventsOf(side.received, projectId, service).map(({ body }) => Number(body.revision)),
    );
    for (const each of revisions)
      t.deepEqual(
        each,
        each.toSorted((a, b) => a - b),
      );
    t.false(JSON.stringify(side.received).includes(projectToken));
  }
});
