import { SiloError } from '@silo/errors/silo-error.ts';
import { Migration, MigrationState } from '@silo/protos/gen/silo/project/v1/migration.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { migrationMessage } from '../messages.ts';
import { arrivedProject, restoredProject } from '../rules/arrived-project.ts';
import { attemptMsMax, captureWaitMsMax, holdMsMax } from '../rules/cutover-times.ts';
import { type EventPlace, isWithin, rangeOfOne } from '../rules/events/event-range.ts';
import { isSoundOffer, requireSound } from '../rules/foreign-project.ts';
import {
  copySeconds,
  requireDestination,
  requireMigrations,
  requireRoom,
  requireRoomFor,
} from '../rules/migration.ts';
import { newMigration, offeredMigration } from '../rules/new-migration.ts';
import type { ProjectDocument, SlotsDocument } from '../store/documents.ts';

const { MIGRATION_STATE_REQUESTED: requested, MIGRATION_STATE_COPYING: copying } = MigrationState;
const { PROJECT_STATE_MIGRATED: migrated, PROJECT_STATE_MIGRATING: migrating } = ProjectState;
const { PROJECT_STATE_DELETED: deleted } = ProjectState;
const organizationId = 'org_eu_1';
const migrationId = 'mig_us_1';

/** The reason of a refusal; '' if there is none. */
function reasonOf(act: () => unknown): string {
  try {
    act();
    return '';
  } catch (error) {
    if (error instanceof SiloError) return error.reasonName;
    throw error;
  }
}

const destinations: [region: string, organizationId: string, reason: string][] = [
  ['eu', 'org_eu_01m8mm2hx0dy0409avqmftxh0j', ''],
  ['us', 'org_us_01m8mm2hx0dy0409avqmftxh0j', 'CROSS_REGION'],
  ['ap', 'org_ap_01m8mm2hx0dy0409avqmftxh0j', 'CROSS_REGION'],
  ['eu', 'org_us_01m8mm2hx0dy0409avqmftxh0j', 'ORGANIZATION_NOT_FOUND'],
  ['eu', 'no id', 'ORGANIZATION_NOT_FOUND'],
];

test('the destination of a migration is an organization of another known region', (t) => {
  for (const [destinationRegion, destinationOrganizationId, reason] of destinations) {
    const to = { destinationRegion, destinationOrganizationId };
    const refusal = reasonOf(() => requireDestination({ region: 'us', known: ['eu'] }, to));
    t.is(refusal, reason, `${destinationRegion} ${destinationOrganizationId}`);
  }
});

const open: SlotsDocument = {
  ...{ _id: organizationId, limit: 2, migrations: true, count: 1, closed: false },
  ...{ revision: 1, tries: {} },
};
const unlimited = { ...open, limit: null };
const { migrations: _, ...unsaid } = open;

const plans: {
  what: string;
  slots: SlotsDocument | undefined;
  migrations: string;
  room: string;
  roomOnAnyPlan: string;
}[] = [
  { what: 'the plan has them', slots: open, migrations: '', room: '', roomOnAnyPlan: '' },
  {
    what: 'the plan has none',
    slots: { ...open, migrations: false },
    migrations: 'PLAN_REQUIRED',
    room: 'PLAN_REQUIRED',
    roomOnAnyPlan: '',
  },
  {
    what: 'an older release has set the limit',
    slots: unsaid,
    migrations: 'PLAN_REQUIRED',
    room: 'PLAN_REQUIRED',
    roomOnAnyPlan: '',
  },
  {
    what: 'an older release has set that there is no limit',
    slots: { ...unsaid, limit: null },
    ...{ migrations: '', room: '', roomOnAnyPlan: '' },
  },
  {
    what: 'it is full',
    slots: { ...open, count: 2 },
    migrations: '',
    ...{ room: 'PROJECT_LIMIT', roomOnAnyPlan: 'PROJECT_LIMIT' },
  },
  {
    what: 'it has no limit',
    slots: { ...unlimited, count: 1_000 },
    ...{ migrations: '', room: '', roomOnAnyPlan: '' },
  },
  {
    what: 'it is closed',
    slots: { ...open, closed: true },
    migrations: 'ORGANIZATION_NOT_FOUND',
    ...{ room: 'ORGANIZATION_NOT_FOUND', roomOnAnyPlan: 'ORGANIZATION_NOT_FOUND' },
  },
  {
    what: 'its slots are not open yet',
    slots: undefined,
    ...{ migrations: 'NOT_READY', room: 'NOT_READY', roomOnAnyPlan: 'NOT_READY' },
  },
];

test('a migration needs a plan with migrations and a slot; a rollback only needs a slot', (t) => {
  for (const { what, slots, migrations, room, roomOnAnyPlan } of plans) {
    t.is(
      reasonOf(() => requireMigrations(organizationId, slots)),
      migrations,
      what,
    );
    t.is(
      reasonOf(() => requireRoom(organizationId, slots)),
      room,
      what,
    );
    t.is(
      reasonOf(() => requireRoomFor(organizationId, slots)),
      roomOnAnyPlan,
      what,
    );
  }
});

test('the estimated time of a copy is in whole seconds, and 0 without events', (t) => {
  t.deepEqual([0, 1, 5_000, 5_001].map(copySeconds), [0, 1, 1, 2]);
});

test('the destination ends an attempt before the source does, and captures wait longer than both', (t) => {
  t.true(attemptMsMax < holdMsMax);
  t.true(holdMsMax <= captureWaitMsMax);
});

const given: ProjectDocument = {
  ...{ _id: 'prj_1', organizationId: 'org_us_1', name: 'Shop', searchName: '?', foldVersion: 0 },
  settings: { timeZone: 'UTC', appUrls: [], anonymizeIps: false, retentionDays: 30 },
  ...{ state: migrating, revision: 7, fence: 3, moveId: 'mov_1', eventGeneration: 2 },
  propertyIndexes: [{ name: 'plan', place: 2, since: 4, state: 'ready' }],
  ...{ createTime: new Date(1_000), updateTime: new Date(2_000) },
};
const now = new Date(3_000);

test('a project arrives with its settings, indexes and generation, in its new organization, and without its moves', (t) => {
  const { moveId: _, fence: __, foldVersion: _____, ...rest } = given;
  const arrived = arrivedProject(given, { organizationId, migrationId, displaced: undefined, now });
  t.like(arrived, { ...rest, organizationId, searchName: 'shop', revision: 8, updateTime: now });
  t.false('moveId' in arrived || 'fence' in arrived || 'migratedTo' in arrived);
  t.is(arrived.cameBy, migrationId);
  const expired = arrivedProject(
    { ...given, expiredBefore: now },
    { organizationId, migrationId, displaced: undefined, now },
  );
  t.false('expiredBefore' in expired, 'nothing has removed events here');
  const { propertyIndexes: ___, eventGeneration: ____, ...plain } = given;
  const bare = arrivedProject(plain, { organizationId, migrationId, displaced: undefined, now });
  t.false('propertyIndexes' in bare || 'eventGeneration' in bare);
});

test('a project that another region sends must meet the rules of this one', (t) => {
  t.is(requireSound(given), given);
  const { settings } = given;
  const [index] = given.propertyIndexes ?? [];
  const long = 'x'.repeat(1_000);
  const wrong: Record<string, object> = {
    'a long name': { name: long },
    'an empty name': { name: '' },
    'an invisible name': { name: 'a\u202eb' },
    'no name': { name: undefined },
    'no settings': { settings: undefined },
    'a long time zone': { settings: { ...settings, timeZone: long } },
    'many web sites': { settings: { ...settings, appUrls: Array(51).fill('https://a.example') } },
    'a long web site': { settings: { ...settings, appUrls: [`https://${long}`] } },
    'no web site': { settings: { ...settings, appUrls: ['javascript:1'] } },
    'an endless retention': { settings: { ...settings, retentionDays: 1e9 } },
    'a broken retention': { settings: { ...settings, retentionDays: 'x' } },
    'many properties': { settings: { ...settings, indexedProperties: Array(7).fill('a') } },
    'a long property': { settings: { ...settings, indexedProperties: [long] } },
    'a long index': { propertyIndexes: [{ ...index, name: long }] },
    'an index elsewhere': { propertyIndexes: [{ ...index, place: 8 }] },
    'many indexes': { propertyIndexes: Array(9).fill(index) },
    'a broken revision': { revision: 0.5 },
    'a broken generation': { eventGeneration: -1 },
    'no time': { createTime: 'now' },
  };
  for (const [what, values] of Object.entries(wrong)) {
    const broken = { ...given, ...values } as ProjectDocument;
    t.throws(() => requireSound(broken), { message: /breaks a rule of this region: its/ }, what);
  }
});

test('an offer of another region must meet the rules of this one', (t) => {
  const offer = Migration.fromPartial({
    ...{ projectId: newId('prj'), projectName: 'Shop', requesterAccountId: newId('acc') },
    ...{ sourceOrganizationId: newId('org_eu'), destinationOrganizationId: newId('org_us') },
  });
  t.true(isSoundOffer(offer));
  t.true(isSoundOffer({ ...offer, requesterAccountId: '' }));
  for (const broken of [
    { projectName: 'x'.repeat(201) },
    { projectName: '' },
    { projectId: 'prj_1' },
    { sourceOrganizationId: 'x'.repeat(5_000_000) },
    { destinationOrganizationId: '' },
    { requesterAccountId: 'x'.repeat(5_000_000) },
  ]) {
    t.false(isSoundOffer({ ...offer, ...broken }), Object.keys(broken)[0]);
  }
});

test('the revision of a project that comes back is larger than all that both regions have used', (t) => {
  const displaced: ProjectDocument = {
    ...{ ...given, state: migrated, revision: 11 },
    migratedTo: { region: 'us', organizationId: 'org_us_1' },
  };
  const arrived = arrivedProject(given, { organizationId, migrationId, displaced, now });
  t.is(arrived.revision, 12);
  t.deepEqual(restoredProject(displaced, arrived, now), {
    ...displaced,
    ...{ revision: 13, updateTime: now },
  });
});

const begun = {
  ...{ _id: 'mig_us_1', projectId: 'prj_1', projectName: 'Shop', actor: 'acc_1' },
  ...{ sourceRegion: 'us', destinationRegion: 'eu', sourceOrganizationId: 'org_us_1' },
  ...{ destinationOrganizationId: organizationId, requesterAccountId: 'acc_1', requestTime: now },
};

test('a new record belongs to the organization of its side, and has no progress', (t) => {
  const state = requested;
  const source = newMigration({ ...begun, side: 'source', state, eventsTotal: 5 });
  t.like(source, { organizationId: 'org_us_1', isOpen: true, attempt: 0, revision: 1 });
  t.deepEqual(source.progress, { eventsTotal: 5 });
  const other = newMigration({ ...begun, side: 'destination', state, eventsTotal: undefined });
  t.is(other.organizationId, organizationId);
  t.deepEqual(other.progress, {});
});

test('the destination takes only the project and its source from the offer', (t) => {
  const source = newMigration({ ...begun, side: 'source', state: requested, eventsTotal: 5 });
  const offer: Migration = {
    ...migrationMessage(source),
    ...{ rollbackOf: 'mig_eu_9', rolledBackBy: 'mig_eu_8', failure: '?', finishTime: now },
  };
  const record = offeredMigration(offer, { state: copying, actor: 'acc_2', now });
  const { organizationId: __, actor: ___, ...same } = source;
  t.deepEqual(record, {
    ...{ ...same, side: 'destination', state: copying },
    ...{ organizationId, actor: 'acc_2' },
  });
});

test('a deleted project arrives as inactive', (t) => {
  const from = { ...given, state: deleted };
  t.is(
    arrivedProject(from, { organizationId, migrationId, displaced: undefined, now }).state,
    migrating,
  );
});

const uuids = ['00000000', '00000001', '0000ff00', '00010000', 'ff000000', 'ffffffff'].map((end) =>
  Buffer.from(`${'00'.repeat(12)}${end}`, 'hex'),
);
const places: EventPlace[] = [-5, 0, 7].flatMap((timeMs) =>
  [...uuids, Buffer.alloc(16, 0xff)].map((uuid) => ({ timeMs, uuid })),
);

test('a one-event range contains only its place', (t) => {
  for (const place of places) {
    const range = rangeOfOne(place);
    t.deepEqual(
      places.filter((each) => isWithin(range, each)),
      [place],
    );
    t.is(range.last, place);
  }
});
