import { reasonName } from '@silo/errors/reason-name.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { eventBytes, eventBytesMax } from '@silo/log/stored-events.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { TryResult } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import { Project, ProjectSettings } from '@silo/protos/gen/silo/project/v1/project.ts';
import { checkEtag, etagOf, revisionOf } from '@silo/tokens/etag.ts';
import test from 'ava';
import { refusalBy } from '../../../test/harness/refusals.ts';
import { updatedEvent } from '../events.ts';
import { requireMayCreate } from '../rules/level-to-create.ts';
import { newProject } from '../rules/new-project.ts';
import { missingNames } from '../rules/recommended.ts';
import { settingsOf } from '../rules/settings.ts';
import { decideConditionalChange, refuseAddition } from '../rules/slots.ts';
import { applyChange, changeOf } from '../rules/update-project.ts';
import type { SlotsDocument } from '../store/documents.ts';

const { TRY_RESULT_ACCEPTED, TRY_RESULT_REFUSED_ACCESS } = TryResult;
const { TRY_RESULT_REFUSED_COUNT, TRY_RESULT_REFUSED_LATE } = TryResult;

const us = 'org_us_01k00000000000000000000000';
const alsoUs = 'org_us_01k00000000000000000000001';

function slotsOf(values: Partial<SlotsDocument> = {}): SlotsDocument {
  return { _id: alsoUs, limit: null, count: 1, closed: false, revision: 1, tries: {}, ...values };
}

const reason = (act: () => unknown) => reasonName(refusalBy(act).reason);
const reasons = (all: readonly SiloError[]) => all.map((each) => reasonName(each.reason));

for (const [level, may, allowed] of [
  [Level.LEVEL_MEMBER, true, true],
  [Level.LEVEL_MEMBER, false, false],
  [Level.LEVEL_ADMIN, false, true],
  [Level.LEVEL_OWNER, false, true],
] as const) {
  test(`level ${level} may ${allowed ? '' : 'not '}create if members may${may ? '' : ' not'}`, (t) => {
    const act = () => requireMayCreate({ level, fact: { membersMayCreateProjects: may } });
    if (allowed) t.notThrows(act);
    else t.is(reason(act), 'ADMIN_REQUIRED');
  });
}

test('nothing is added to slots that are absent, closed or full', (t) => {
  t.is(refuseAddition(us, slotsOf({ limit: 2 }), 1), undefined);
  const refusals = [undefined, slotsOf({ closed: true }), slotsOf({ limit: 2, count: 2 })];
  t.deepEqual(
    refusals.map((slots) => reasons([refuseAddition(us, slots, 1) ?? t.fail()] as SiloError[])[0]),
    ['NOT_READY', 'ORGANIZATION_NOT_FOUND', 'PROJECT_LIMIT'],
  );
});

const lowered = { kind: 'limit', revision: 5, limit: 2 } as const;
const closing = { kind: 'close', revision: 5, deletedCount: 0 } as const;

for (const { title, slots, attempt, access = true, result, changes } of [
  {
    title: 'a limit that the count allows is set',
    slots: { count: 2, limit: 6 },
    attempt: lowered,
    result: TRY_RESULT_ACCEPTED,
    changes: { limit: 2, revision: 2 },
  },
  {
    title: 'a limit below the count is refused',
    slots: { count: 3, limit: 6 },
    attempt: lowered,
    result: TRY_RESULT_REFUSED_COUNT,
    changes: { limit: 6, revision: 1 },
  },
  {
    title: 'removing the limit is always allowed',
    slots: { count: 3, limit: 3 },
    attempt: { kind: 'limit', revision: 5, limit: null } as const,
    result: TRY_RESULT_ACCEPTED,
    changes: { limit: null, revision: 2 },
  },
  {
    title: 'the present limit changes no revision',
    slots: { count: 1, limit: 2 },
    attempt: lowered,
    result: TRY_RESULT_ACCEPTED,
    changes: { limit: 2, revision: 1 },
  },
  {
    title: 'slots without projects close',
    slots: { count: 0 },
    attempt: closing,
    result: TRY_RESULT_ACCEPTED,
    changes: { closed: true, revision: 2 },
  },
  {
    title: 'slots with a project stay open',
    slots: { count: 1 },
    attempt: closing,
    result: TRY_RESULT_REFUSED_COUNT,
    changes: { closed: false, revision: 1 },
  },
  {
    title: 'slots with a restorable project stay open',
    slots: { count: 0 },
    attempt: { ...closing, deletedCount: 1 },
    result: TRY_RESULT_REFUSED_COUNT,
    changes: { closed: false, revision: 1 },
  },
  {
    title: 'a conditional change without access changes nothing but its stored result',
    slots: { count: 0 },
    attempt: closing,
    access: false,
    result: TRY_RESULT_REFUSED_ACCESS,
    changes: {
      closed: false,
      revision: 1,
      tries: { close: { revision: 5, result: 3, count: 0, deletedCount: 0 } },
    },
  },
]) {
  test(title, (t) => {
    const { outcome, after } = decideConditionalChange(slotsOf(slots), attempt, access);
    t.is(outcome.result, result);
    t.like(after, changes);
  });
}

test('a repeated conditional change gets the first result, a late one is refused, for each kind', (t) => {
  const first = { revision: 5, result: TRY_RESULT_REFUSED_COUNT, count: 9 };
  const slots = slotsOf({ count: 1, tries: { limit: first } });
  t.deepEqual(decideConditionalChange(slots, lowered, true), {
    outcome: { result: TRY_RESULT_REFUSED_COUNT, count: 9, deletedCount: 0 },
  });
  t.deepEqual(decideConditionalChange(slots, { ...lowered, revision: 4 }, true), {
    outcome: { result: TRY_RESULT_REFUSED_LATE, count: 1, deletedCount: 0 },
  });
  t.is(
    decideConditionalChange(slots, { ...lowered, revision: 6 }, true).outcome.result,
    TRY_RESULT_ACCEPTED,
  );
  t.not(decideConditionalChange(slots, { ...closing, revision: 1 }, true).after, undefined);
});

test('an etag stands for its revision and for nothing else', (t) => {
  for (const revision of [1, 35, 36, 4_294_967_295]) {
    t.is(revisionOf(etagOf(revision)), revision);
    t.notThrows(() => checkEtag(etagOf(revision), revision));
    t.is(
      reason(() => checkEtag(etagOf(revision), revision + 1)),
      'ETAG_MISMATCH',
    );
  }
  t.is(revisionOf(''), undefined);
  for (const etag of ['-', ' 1', '01', '1 ', 'é', 'z'.repeat(64)]) t.is(revisionOf(etag), -1);
});

test('a recommended project is missing if no project has its name', (t) => {
  t.deepEqual(missingNames([]), ['Local Development', 'Staging', 'Production']);
  t.deepEqual(missingNames(['Staging', 'Other']), ['Local Development', 'Production']);
});

test('a time zone is one of the IANA database, in its own spelling, and UTC by default', (t) => {
  const zone = (timeZone: string) =>
    settingsOf(ProjectSettings.fromPartial({ timeZone }), 'settings').timeZone;
  t.is(zone(''), 'UTC');
  t.is(zone('europe/berlin'), 'Europe/Berlin');
  t.is(zone('US/Pacific'), 'US/Pacific');
  for (const wrong of ['Europe/Atlantis', '+01:00', 'x']) {
    const error = refusalBy(() => zone(wrong));
    t.is(reasonName(error.reason), 'INVALID_FIELD');
    t.is(error.details.badRequest?.[0]?.field, 'settings.time_zone');
  }
});

const before = {
  name: 'Old',
  settings: { timeZone: 'UTC', appUrls: ['https://a.example'], anonymizeIps: true },
};
const sent = Project.fromPartial({ name: 'New', settings: { timeZone: 'Europe/Berlin' } });

for (const { title, mask, project = sent, changed } of [
  {
    title: 'without a mask, all fields that are not empty change',
    mask: undefined,
    changed: ['name', 'settings.time_zone'],
  },
  { title: 'with a mask, only its fields change', mask: ['name'], changed: ['name'] },
  {
    title: 'a single setting can be named',
    mask: ['settings.time_zone'],
    changed: ['settings.time_zone'],
  },
  {
    title: 'a named setting that is empty is reset',
    mask: ['settings.app_urls', 'settings.anonymize_ips'],
    changed: ['settings.app_urls', 'settings.anonymize_ips'],
  },
  {
    title: 'all settings are replaced together',
    mask: ['settings'],
    changed: ['settings.time_zone', 'settings.app_urls', 'settings.anonymize_ips'],
  },
  {
    title: 'the retention can be named, and is 0 in a project of an older version',
    mask: ['settings.retention_days'],
    project: Project.fromPartial({ settings: { retentionDays: 30 } }),
    changed: ['settings.retention_days'],
  },
  {
    title: 'fields outside the mask are not even checked',
    mask: ['name'],
    project: Project.fromPartial({ name: 'New', settings: { timeZone: 'Nowhere' } }),
    changed: ['name'],
  },
  {
    title: 'the same values change nothing',
    mask: ['name'],
    project: Project.fromPartial({ name: 'Old' }),
    changed: [],
  },
]) {
  test(title, (t) => {
    const { changes } = applyChange(before, changeOf(project, mask));
    t.deepEqual(
      changes.map(({ field }) => field),
      changed,
    );
  });
}

test('an app_url has a wildcard at most as the first label, above a domain', (t) => {
  const check = (...appUrls: string[]) =>
    settingsOf(ProjectSettings.fromPartial({ appUrls }), 'settings').appUrls;
  const good = ['https://app.example.com/*', 'http://localhost:3000', 'https://*.example.com'];
  t.deepEqual(check(...good), good);
  for (const url of [
    'https://*',
    'https://*.com',
    'https://*.*.com',
    'https://app.*.com',
    'https://a*.example.com',
    'https://%2A',
    'https://a%2Fb',
  ]) {
    const { reason, details } = refusalBy(() => check('https://example.com', url));
    t.is(reasonName(reason), 'INVALID_FIELD', url);
    t.deepEqual(
      details.badRequest?.map(({ field }) => field),
      ['settings.app_urls[1]'],
    );
  }
});

test('a change has old and new values', (t) => {
  t.deepEqual(applyChange(before, changeOf(sent, ['name'])).changes, [
    { field: 'name', from: 'Old', to: 'New' },
  ]);
});

test('an update must name existing fields, and no empty name', (t) => {
  t.is(
    reason(() => changeOf(sent, ['state'])),
    'INVALID_FIELD',
  );
  t.is(
    reason(() => changeOf(sent, ['settings.other'])),
    'INVALID_FIELD',
  );
  t.is(
    reason(() => changeOf(Project.fromPartial({}), ['name'])),
    'INVALID_FIELD',
  );
});

test('the event of the largest change of a project is accepted by every broker', (t) => {
  const values = (letter: string) => ({
    name: '\u{1f600}'.repeat(200),
    settings: {
      timeZone: 'UTC',
      appUrls: Array.from({ length: 50 }, (_, index) => `https://${index}/`.padEnd(512, letter)),
      anonymizeIps: false,
    },
  });
  const project = newProject(values('a'), { id: 'prj_1', organizationId: us, now: new Date(0) });
  const { changes } = applyChange(project, { ...values('b'), name: 'b'.repeat(200) });
  const { body } = updatedEvent(project, changes, { actor: 'acc_1', tx: { now: new Date(0) } });
  const sizeBytes = eventBytes({ body: JSON.stringify(body) });
  t.true(sizeBytes > 50_000 && sizeBytes < eventBytesMax, `${sizeBytes}`);
});
