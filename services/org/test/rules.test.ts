import { reasonOf } from '@silo/errors/from-status.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { checkEtag, etagOf } from '@silo/tokens/etag.ts';
import test, { type ExecutionContext } from 'ava';
import { accountChanges, wantedAccountFields } from '../rules/account-update.ts';
import { checkAcceptable, checkInviteLimit } from '../rules/invites.ts';
import { checkKeepsOwner, ownersAdded } from '../rules/last-owner.ts';
import { checkStillAllowed, checkWithinOwn } from '../rules/levels.ts';
import { organizationChanges, wantedOrganizationFields } from '../rules/organization-update.ts';

const { LEVEL_MEMBER, LEVEL_ADMIN, LEVEL_OWNER } = Level;
const organizationId = 'org_us_01aaaaaaaaaaaaaaaaaaaaaaaa';
const projectId = 'prj_01cccccccccccccccccccccccc';

function refuses(
  t: ExecutionContext,
  reason: string,
  act: () => unknown,
  metadata?: Record<string, string>,
) {
  const error = t.throws(act, { instanceOf: SiloError });
  t.is(reasonOf(error), reason);
  if (metadata !== undefined) t.deepEqual({ ...error?.metadata }, metadata);
}

test('nobody grants, changes or removes a level above their own', (t) => {
  const levels = [LEVEL_MEMBER, LEVEL_ADMIN, LEVEL_OWNER];
  for (const own of levels) {
    for (const from of levels) {
      for (const to of levels) {
        const act = () => checkWithinOwn(own, from, to);
        if (from <= own && to <= own) t.notThrows(act);
        else refuses(t, 'ADMIN_REQUIRED', act);
      }
    }
  }
  const required = { level: 'OWNER' };
  refuses(t, 'ADMIN_REQUIRED', () => checkWithinOwn(LEVEL_ADMIN, LEVEL_OWNER), required);
  refuses(t, 'ADMIN_REQUIRED', () => checkWithinOwn(LEVEL_MEMBER, 2, 3), required);
});

test('a caller that is no longer a member at the commit gets ORGANIZATION_NOT_FOUND', (t) => {
  refuses(t, 'ORGANIZATION_NOT_FOUND', () =>
    checkStillAllowed(undefined, LEVEL_MEMBER, organizationId),
  );
  refuses(t, 'ADMIN_REQUIRED', () => checkStillAllowed(LEVEL_MEMBER, LEVEL_ADMIN, organizationId));
  t.is(checkStillAllowed(LEVEL_OWNER, LEVEL_ADMIN, organizationId), LEVEL_OWNER);
});

test('a level that only a newer release knows grants nothing', (t) => {
  const newer = 7 as Level;
  refuses(t, 'ORGANIZATION_NOT_FOUND', () =>
    checkStillAllowed(newer, LEVEL_MEMBER, organizationId),
  );
  const required = { level: 'UNKNOWN (7)' };
  refuses(t, 'ADMIN_REQUIRED', () => checkWithinOwn(LEVEL_OWNER, newer), required);
});

test('an organization always keeps an owner', (t) => {
  refuses(t, 'LAST_OWNER', () => checkKeepsOwner(1, LEVEL_OWNER, LEVEL_ADMIN));
  refuses(t, 'LAST_OWNER', () => checkKeepsOwner(1, LEVEL_OWNER, undefined));
  t.notThrows(() => checkKeepsOwner(2, LEVEL_OWNER, undefined));
  t.notThrows(() => checkKeepsOwner(1, LEVEL_OWNER, LEVEL_OWNER));
  t.notThrows(() => checkKeepsOwner(1, LEVEL_ADMIN, undefined));
  t.is(ownersAdded(LEVEL_OWNER, LEVEL_MEMBER), -1);
  t.is(ownersAdded(LEVEL_OWNER, undefined), -1);
  t.is(ownersAdded(undefined, LEVEL_OWNER), 1);
  t.is(ownersAdded(LEVEL_ADMIN, LEVEL_MEMBER), 0);
});

const now = new Date('2026-01-02T00:00:00Z');
const later = new Date(now.getTime() + 1);

for (const [why, invite, facts, accepted] of [
  ['is meant for the caller', {}, {}, true],
  ['differs only in the case of the e-mail', { email: 'Bob@Example.com' }, {}, true],
  ['is meant for another e-mail', { email: 'eve@example.com' }, {}, false],
  ['has expired', { expireTime: now }, {}, false],
  ['was created by a member that has left', {}, { inviterLevel: undefined }, false],
  ['was created by an admin that is only a member now', {}, { inviterLevel: LEVEL_MEMBER }, false],
  ['grants more than its inviter has now', { level: LEVEL_OWNER }, {}, false],
  ['was created by a member with an unknown level', {}, { inviterLevel: 7 as Level }, false],
  ['grants an unknown level', { level: 7 as Level }, { inviterLevel: 7 as Level }, false],
] as const) {
  test(`an invite that ${why} is ${accepted ? 'accepted' : 'not found'}`, (t) => {
    const base = { email: 'bob@example.com', level: LEVEL_MEMBER as Level, expireTime: later };
    const act = () =>
      checkAcceptable(
        { ...base, ...invite },
        { email: 'bob@example.com', inviterLevel: LEVEL_ADMIN, now, ...facts },
      );
    if (accepted) t.notThrows(act);
    else refuses(t, 'INVITE_NOT_FOUND', act);
  });
}

test('an organization has at most 1,000 open invites', (t) => {
  t.notThrows(() => checkInviteLimit(999));
  refuses(t, 'RESOURCE_LIMIT', () => checkInviteLimit(1_000));
});

test('an etag is checked only if the request has one', (t) => {
  t.notThrows(() => checkEtag('', 7));
  t.notThrows(() => checkEtag(etagOf(7), 7));
  refuses(t, 'ETAG_MISMATCH', () => checkEtag(etagOf(6), 7));
});

test('without a mask an account update sets the fields that are not empty', (t) => {
  const given = { displayName: 'Ada', currentProjectId: '' };
  t.deepEqual(wantedAccountFields(given, undefined), { displayName: 'Ada' });
  t.deepEqual(wantedAccountFields(given, []), { displayName: 'Ada' });
  t.deepEqual(wantedAccountFields(given, ['current_project_id']), { currentProjectId: '' });
  refuses(t, 'INVALID_FIELD', () =>
    wantedAccountFields({ displayName: '', currentProjectId: '' }, ['display_name']),
  );
});

test('an account change has old and new values, only of fields that changed', (t) => {
  const before = { displayName: 'Ada', currentProjectId: projectId };
  t.deepEqual(accountChanges(before, { displayName: 'Ada' }), []);
  t.deepEqual(accountChanges(before, { displayName: 'Eve', currentProjectId: '' }), [
    { field: 'display_name', from: 'Ada', to: 'Eve' },
    { field: 'current_project_id', from: projectId, to: '' },
  ]);
});

test('members are forbidden to create projects only by a mask that names the field', (t) => {
  const given = { name: 'Acme', membersMayCreateProjects: false };
  t.deepEqual(wantedOrganizationFields(given, undefined), { name: 'Acme' });
  t.deepEqual(wantedOrganizationFields(given, ['members_may_create_projects']), {
    membersMayCreateProjects: false,
  });
  refuses(t, 'INVALID_FIELD', () =>
    wantedOrganizationFields({ name: '', membersMayCreateProjects: true }, ['name']),
  );
});

test('an organization change has old and new values, only of fields that changed', (t) => {
  const before = { name: 'Acme', membersMayCreateProjects: true };
  t.deepEqual(organizationChanges(before, before), []);
  t.deepEqual(organizationChanges(before, { membersMayCreateProjects: false }), [
    { field: 'members_may_create_projects', from: 'true', to: 'false' },
  ]);
});
