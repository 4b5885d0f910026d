/** A project migrates between two regions, and back, while its SDKs keep sending. */
import { randomUUID } from 'node:crypto';
import { reasonOf } from '@silo/errors/from-status.ts';
import { holdMsMax } from '@silo/project-service/rules/cutover-times.ts';
import { migrationsName } from '@silo/project-service/store/migrations.ts';
import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { fingerprintOf, hashOf } from '@silo/tokens/secrets.ts';
import type { ExecutionContext } from 'ava';
import { eventually, untilIs } from '../harness/eventually.ts';
import { machineMs } from '../harness/machine-clock.ts';
import { refused } from '../harness/refusals.ts';
import { handoversIn, probe } from '../harness/region-probe.ts';
import { type RegionalSilo, storedEvents } from '../harness/regions.ts';
import { Yardstick } from '../harness/yardstick.ts';
import { keepSending, openSdk } from './edge-support.ts';
import { event, noFilter } from './event-requests.ts';
import {
  accepted,
  type Migrant,
  namesIn,
  newMigrant,
  previewed,
  recordIn,
  requested,
  staffOf,
  started,
  untilDone,
  untilState,
} from './migration-support.ts';
import { type RegionsContext, regionScenarios } from './region-scenarios.ts';
import { choosePlan, present } from './support.ts';

const test = regionScenarios();

const { MIGRATION_STATE_CANCELLED: cancelled, MIGRATION_STATE_COPYING: copying } = MigrationState;
const { MIGRATION_STATE_FAILED: failed, MIGRATION_STATE_REQUESTED: asRequested } = MigrationState;

type Test = ExecutionContext<RegionsContext>;

/** What a copy must preserve: types of numbers, the order of names, unicode, odd names, times. */
const odd = [
  '{"2":1,"10":2,"$ref":"a","$id":1,"a.b":null}',
  '{"n":1.0,"m":1,"big":9007199254740993,"e":1e21,"deep":[[[{"x":[]}]]]}',
  '{"$host":"app.example.com","name":"e\\u0301 é 👩‍👩‍👧 \\u0000","_bsontype":"x"}',
  '',
];

/** Stores events over gRPC, in batches. */
async function capture({ as }: RegionalSilo, { projectToken }: Migrant, count: number) {
  for (let left = count; left > 0; left -= 500) {
    const events = Array.from({ length: Math.min(left, 500) }, (_, index) =>
      event({
        ...{ uuid: randomUUID(), name: `before ${index % 7}`, distinctId: `user ${index % 50}` },
        properties: odd[index % odd.length] ?? '',
        timestamp: new Date(Date.UTC(2026, 0, 1) + index * 60_000).toISOString(),
      }),
    );
    await as(projectToken).events.captureEvents({ events, superProperties: '' });
  }
}

/** Fails unless each document of one region is in the other, byte for byte. */
async function sameBytes(
  t: Test,
  { projectId }: Migrant,
  from: RegionalSilo,
  to: RegionalSilo,
): Promise<Map<string, Buffer>> {
  const [kept, copied] = [await storedEvents(from, projectId), await storedEvents(to, projectId)];
  const different = [...kept].filter(([uuid, bytes]) => !copied.get(uuid)?.equals(bytes));
  t.deepEqual(
    different.map(([uuid]) => uuid),
    [],
  );
  return copied;
}

test('a project migrates with all its events, and back, while posthog-node sends; each event is stored once', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu });
  const { source, destination, projectId, projectToken } = migrant;
  await capture(us, migrant, 1_500);
  const { sdk, errors, sent } = openSdk(projectToken, us.edgeUrl, { retries: 100 });
  const sending = keepSending(sdk);
  const probing = probe([us, eu], projectToken);
  const untilAccepted = (region: string, from: number) =>
    eventually(() => {
      const { accepted } = probing.soFar;
      if (accepted.slice(from).some((each) => each.region === region)) return accepted.length;
      throw new Error(`${region} has accepted nothing`);
    });
  // Also stopped if the test fails.
  t.teardown(() => Promise.allSettled([sending.stop(), probing.stop()]).then(() => {}));

  const preview = await previewed(migrant);
  t.true((preview.events ?? 0) >= 1_500 && (preview.bytes ?? 0) > 0);
  t.is(preview.destinationOrganizationName, destination.organization.name);
  t.like(preview.source, { countBefore: 2, countAfter: 1 });
  t.like(preview.destination, { countBefore: 1, countAfter: 2 });
  t.deepEqual(
    preview.losing?.members.map(({ accountId }) => accountId),
    [source.account.id],
  );
  const acceptedFirst = await untilAccepted('us', 0);
  const { id, state } = await requested(migrant, preview.planFingerprint);
  t.is(state, asRequested);
  const organizationId = destination.organization.id;
  const accept = { migrationId: id, organizationId, requestId: randomUUID() };
  const accepting = await destination.api.migrations.acceptMigration(accept);
  t.deepEqual(await destination.api.migrations.acceptMigration(accept), accepting);
  await using yardstick = await Yardstick.start(us.mongo);
  const startedMs = machineMs();
  await staffOf(eu).startMigration({ migrationId: id });
  const done = await untilDone(migrant, id);
  const roundMs = yardstick.longestMs(startedMs, machineMs());
  // By the clock of the source's database, which commits no cutover after that time.
  const { progress: atSource } = await recordIn(us, id);
  t.true(Number(atSource?.holdMs) < holdMsMax, JSON.stringify(atSource));
  const activationMs = Number(done.progress?.holdMs) - Number(atSource?.holdMs);
  t.true(activationMs < Math.max(2_000, 100 * roundMs), `${activationMs}, a round ${roundMs} ms`);
  t.is(done.progress?.rangesRepaired ?? 0, 0);

  // Events sent to the source are forwarded; events sent to the destination are stored there.
  const before = sent.length;
  const untilMore = (count: number) =>
    eventually(() => {
      if (sent.length < count) throw new Error(`${sent.length} of ${count} events are sent`);
    });
  await untilMore(before + 20);
  const there = openSdk(projectToken, eu.edgeUrl);
  there.sdk.capture({ distinctId: 'ada', event: 'sent there' });
  await there.sdk.shutdown();
  t.deepEqual([there.statuses, there.errors], [[200], []]);
  await sameBytes(t, migrant, us, eu);

  const gone = await refused(t, source.api.projects.getProject({ projectId }), 'CROSS_REGION');
  t.deepEqual(gone.metadata, { region: 'eu', organization_id: organizationId });
  t.like((await destination.api.projects.getProject({ projectId })).project, {
    ...{ id: projectId, name: 'Web', organizationId },
  });
  const { projectToken: kept } = await destination.api.projectTokens.getProjectToken({ projectId });
  t.is(kept?.token, projectToken);
  const tokenHash = hashOf(projectToken);
  for (const { internal } of [us, eu]) {
    const { directory } = internal().project;
    const byId = { projectId, tokenHash: Buffer.alloc(0) };
    t.deepEqual(await directory.locateProject(byId), { region: 'eu', projectId });
    t.deepEqual(await directory.locateProject({ projectId: '', tokenHash }), {
      ...{ region: 'eu', projectId },
    });
  }
  await eventually(async () => {
    const { uses } = await source.api.events.deadTokenReport({ projectId });
    const passedOn = uses.some(({ forwardedRegion }) => forwardedRegion === 'eu');
    if (!passedOn) throw new Error(JSON.stringify(uses));
  });

  const acceptedThere = await untilAccepted('eu', acceptedFirst);
  const { migration: back } = await staffOf(us).rollbackMigration({ migrationId: id });
  const again = await staffOf(us).rollbackMigration({ migrationId: id });
  t.is(again.migration?.id, back?.id);
  await untilDone({ from: eu, to: us }, back?.id ?? '');
  await untilMore(sent.length + 20);
  await untilAccepted('us', acceptedThere);
  const all = await sending.stop();
  const probed = await probing.stop();
  t.deepEqual(errors, []);
  t.is(handoversIn(probed.accepted), 2);
  t.like((await source.api.projects.getProject({ projectId })).project, {
    ...{ id: projectId, organizationId: source.organization.id },
  });
  await refused(t, destination.api.projects.getProject({ projectId }), 'CROSS_REGION');
  const names = await namesIn(source, projectId);
  const bySdk = names.filter((name) => name.startsWith('seen '));
  t.deepEqual(bySdk.toSorted(), all);
  t.is(names.filter((name) => name === 'sent there').length, 1);
  t.is(names.filter((name) => name.startsWith('before ')).length, 1_500);
  const stored = await sameBytes(t, migrant, eu, us);
  t.deepEqual(
    probed.stored.filter((uuid) => !stored.has(uuid)),
    [],
  );
  // A call that a busy machine did not answer in time may have stored its event.
  const maybe = probed.unknown.filter((uuid) => stored.has(uuid));
  const probes = names.filter((name) => name === 'probe').length;
  t.is(probes, probed.stored.length + maybe.length);
  const noPurge = await refused(t, staffOf(us).purgeSource({ migrationId: id }), 'MIGRATION_STATE');
  t.true(noPurge.message.endsWith(`it was rolled back by ${back?.id}.`), noPurge.message);
});

test('the source is purged once both copies are equal except for later deletions; then no rollback is possible, and captures are forwarded', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu }, 'Bea');
  const { source, destination, projectId, projectToken } = migrant;
  await capture(us, migrant, 1_200);
  const { id: migrationId } = await started(migrant);
  await untilDone(migrant, migrationId);
  t.is((await storedEvents(us, projectId)).size, 1_200);
  const filter = { ...noFilter, names: ['before 3'] };
  await destination.api.events.deleteEvents({ projectId, filter, requestId: '' });
  await eventually(() => staffOf(us).purgeSource({ migrationId }));
  await eventually(async () => {
    const { purgeTime } = await recordIn(us, migrationId);
    if (purgeTime === undefined) throw new Error('it is not purged yet');
  });
  t.is((await storedEvents(us, projectId)).size, 0);
  t.truthy((await recordIn(eu, migrationId)).purgeTime);
  const noWayBack = staffOf(us).rollbackMigration({ migrationId });
  const { message } = await refused(t, noWayBack, 'MIGRATION_STATE');
  t.regex(message, /its source is purged\.$/);
  const { sdk, errors } = openSdk(projectToken, us.edgeUrl);
  sdk.capture({ distinctId: 'ada', event: 'passed on' });
  await sdk.shutdown();
  t.true((await namesIn(destination, projectId)).includes('passed on'));
  const request = { projectId, expectedFingerprint: '', requestId: '' };
  const answer = await destination.api.projectTokens.regenerateProjectToken(request);
  const later = openSdk(present(answer.projectToken).token, us.edgeUrl);
  later.sdk.capture({ distinctId: 'ada', event: 'with the next token' });
  await later.sdk.shutdown();
  t.deepEqual([errors, later.errors], [[], []]);
  t.true((await namesIn(destination, projectId)).includes('with the next token'));
  const fingerprint = fingerprintOf(hashOf(present(answer.projectToken).token));
  await eventually(async () => {
    const { uses } = await source.api.events.deadTokenReport({ projectId });
    const use = uses.find((each) => each.fingerprint === fingerprint);
    if (use?.forwardedRegion !== 'eu') throw new Error(JSON.stringify(uses));
  });
  t.false((await namesIn(destination, projectId)).includes('before 3'));
});

test('a purge removes nothing if a document was lost in the other region', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu }, 'Cleo');
  await capture(us, migrant, 300);
  const { id: migrationId } = await started(migrant);
  await untilDone(migrant, migrationId);
  const events = eu.mongo.db(`${eu.databasePrefix}_project`).collection('captured_events');
  await events.deleteOne({ '_id.project': migrant.projectId } as object);
  await eventually(() => staffOf(us).purgeSource({ migrationId }));
  const { purgeTime } = await eventually(async () => {
    const record = await recordIn(us, migrationId);
    if (record.failure === '') throw new Error('it has not failed yet');
    return record;
  });
  t.is(purgeTime, undefined);
  t.is((await storedEvents(us, migrant.projectId)).size, 300);
});

test('a rollback fails while the other region has lost an event, and keeps it', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu }, 'Dina');
  const { source, destination, projectId } = migrant;
  await capture(us, migrant, 300);
  const { id: migrationId } = await started(migrant);
  await untilDone(migrant, migrationId);
  const filter = { ...noFilter, names: ['before 3'] };
  await destination.api.events.deleteEvents({ projectId, filter, requestId: '' });
  const events = eu.mongo.db(`${eu.databasePrefix}_project`).collection('captured_events');
  const other = { '_id.project': projectId, name: 'before 4' } as object;
  const faithfully = { promoteBuffers: false, promoteValues: false };
  const lost = await events.findOne(other, faithfully);
  if (lost === null) throw new TypeError('there is no event');
  await events.deleteOne({ _id: lost._id });
  const { migration } = await eventually(() => staffOf(us).rollbackMigration({ migrationId }));
  const { id: rollbackId } = present(migration);
  const { failure } = await untilState(us, rollbackId, failed);
  t.regex(
    failure,
    /^1 event\(s\) are only in us, and no deletion or retention in eu has removed them\. /,
  );
  const kept = await storedEvents(us, projectId);
  await events.insertOne(lost);
  await staffOf(us).retryMigration({ migrationId: rollbackId, discardUnmatched: false });
  await untilDone({ from: eu, to: us }, rollbackId);
  const stored = await sameBytes(t, migrant, eu, us);
  t.deepEqual(
    [...stored.keys()].filter((uuid) => !kept.has(uuid)),
    [],
  );
  const names = await namesIn(source, projectId);
  t.false(names.includes('before 3'));
  const without = 300 - Math.ceil((300 - 3) / 7);
  t.deepEqual([names.length, stored.size], [without, without]);
});

/**
 * More than one step of a copy transfers, however many ranges wait, because the remaining work is
 * limited.
 */
const slowCount = 4_500;

/** Starts a copy that lasts as long as the test needs. */
async function startSlowly(t: Test, migrant: Migrant): Promise<string> {
  const { id: migrationId } = await accepted(migrant);
  const staff = staffOf(migrant.to);
  await staff.setMigrationRate({ migrationId, bytesPerSecondMax: 1 });
  await staff.startMigration({ migrationId });
  await eventually(async () => {
    const { progress } = await recordIn(migrant.to, migrationId);
    if (!progress?.eventsCopied) throw new Error('nothing is copied yet');
  });
  t.is((await recordIn(migrant.to, migrationId)).state, copying);
  return migrationId;
}

test('events deleted and captured during the copy are the same at the destination as at the source', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu }, 'Dora');
  const { source, projectId, projectToken } = migrant;
  await capture(us, migrant, slowCount);
  const migrationId = await startSlowly(t, migrant);
  const filter = { ...noFilter, names: ['before 3'] };
  const request = { projectId, filter, requestId: randomUUID() };
  const { deletion } = await source.api.events.deleteEvents(request);
  await us
    .as(projectToken)
    .events.captureEvents({ events: [event({ name: 'meanwhile' })], superProperties: '' });
  await eventually(async () => {
    const wanted = { projectId, deletionId: deletion?.id ?? '' };
    const now = await source.api.events.getEventDeletion(wanted);
    if (now.deletion?.finishTime === undefined) throw new Error('it is not finished');
  });
  await staffOf(eu).setMigrationRate({ migrationId, bytesPerSecondMax: 0 });
  await untilDone(migrant, migrationId);
  const copied = await sameBytes(t, migrant, us, eu);
  t.is(copied.size, (await storedEvents(us, projectId)).size);
  const names = await namesIn(migrant.destination, projectId);
  t.false(names.includes('before 3'));
  t.true(names.includes('meanwhile'));
});

test('a cancelled migration leaves the source as it is, and nothing at the destination', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu }, 'Ellen');
  const { source, destination, projectId } = migrant;
  await capture(us, migrant, slowCount);
  const before = await storedEvents(us, projectId);
  const migrationId = await startSlowly(t, migrant);
  const organizationId = source.organization.id;
  const request = { migrationId, organizationId, requestId: randomUUID() };
  const { migration } = await source.api.migrations.cancelMigration(request);
  t.is(migration?.state, cancelled);
  await untilState(eu, migrationId, cancelled);
  await eventually(async () => {
    const { size } = await storedEvents(eu, projectId);
    if (size > 0) throw new Error(`${size} events are left`);
    const records = eu.mongo
      .db(`${eu.databasePrefix}_project`)
      .collection<{ _id: string }>(migrationsName);
    const open = await records.countDocuments({ _id: migrationId, isOpen: true });
    if (open > 0) throw new Error('its end is not recorded yet');
  });
  t.deepEqual(await storedEvents(us, projectId), before);
  const slots = { organizationId: destination.organization.id };
  t.is((await destination.api.billing.getSubscription(slots)).subscription?.projectCount, 1);
  t.is((await source.api.projects.getProject({ projectId })).project?.id, projectId);
  await refused(t, staffOf(eu).startMigration({ migrationId }), 'MIGRATION_STATE');
  const next = await started(migrant);
  await untilDone(migrant, next.id);
  t.deepEqual(await storedEvents(eu, projectId), before);
});

test('a migration fails if the destination’s plan has changed, and continues when staff retries it', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu }, 'Fay');
  const { destination, projectId } = migrant;
  await capture(us, migrant, 200);
  const { id: migrationId } = await accepted(migrant);
  const organizationId = destination.organization.id;
  const unconditional = { organizationId, etag: '', requestId: '' };
  await destination.api.billing.changePlan({ ...unconditional, plan: Plan.PLAN_PAY_AS_YOU_GO });
  await staffOf(eu).startMigration({ migrationId });
  const { failure } = await untilState(eu, migrationId, failed);
  t.not(failure, '');
  await untilState(us, migrationId, failed);
  await choosePlan(destination.api, organizationId, Plan.PLAN_SCALE);
  await staffOf(eu).retryMigration({ migrationId, discardUnmatched: false });
  await eventually(async () => {
    const { state } = await recordIn(eu, migrationId);
    if (state === failed) throw new Error('it has not gone on yet');
  });
  await untilDone(migrant, migrationId);
  t.is((await storedEvents(eu, projectId)).size, 200);
});

test('a project that is purged in the other region ends here: its token is refused, and only its record is left', async (t) => {
  const { us, eu } = t.context.regions;
  const migrant = await newMigrant({ from: us, to: eu }, 'Gil');
  const { source, destination, projectId, projectToken } = migrant;
  await capture(us, migrant, 300);
  const { id: migrationId } = await started(migrant);
  await untilDone(migrant, migrationId);
  const send = async () => {
    const body = { api_key: projectToken, batch: [{ event: 'late', distinct_id: 'ada' }] };
    const request = { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(`${us.edgeUrl}/batch`, request);
    await response.text();
    return response.status;
  };
  t.is(await send(), 200);
  await destination.api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  const stored = ({ mongo, databasePrefix }: RegionalSilo, service: string) =>
    mongo.db(`${databasePrefix}_${service}`).collection<{ _id: string }>('projects');
  const due = { $set: { purgeTime: new Date(0) } };
  await stored(eu, 'project').updateOne({ _id: projectId }, due);
  for (const region of [eu, us]) {
    // Loops with long pauses have a turn when a process starts.
    await region.stop('project');
    await region.start('project');
    await eventually(async () => {
      const found = await stored(region, 'project').findOne({ _id: projectId });
      if (found !== null) throw new Error(`${region.region} has ${JSON.stringify(found)}`);
    });
  }
  await untilIs(401, send);
  await untilIs('PROJECT_NOT_FOUND', () =>
    source.api.projects.getProject({ projectId }).then(() => '', reasonOf),
  );
  t.is((await storedEvents(us, projectId)).size, 0);
  t.like(await stored(us, 'token').findOne({ _id: projectId }), { current: undefined });
  t.like(await recordIn(us, migrationId), { id: migrationId, projectName: projectId });
});
