import { eventType } from '@silo/log/event-types.ts';
import test from 'ava';
import { endedBy } from '../core/event-effects.ts';
import { type Ended, membershipId } from '../core/facts.ts';
import type { Source } from '../core/position.ts';

type Row = { source: Source; event: string; body: object; ends: Ended };

const moved = { projectId: 'prj_1', oldOrganizationId: 'org_1', newOrganizationId: 'org_2' };
const member = { organizationId: 'org_1', accountId: 'acc_1' };
const key = { keyId: 'key_1', accountId: 'acc_1' };

const rows: Row[] = [
  {
    source: 'project',
    event: 'events_deleted',
    body: { projectId: 'prj_1', organizationId: 'org_1', deletionId: 'evd_1' },
    ends: [{ kind: 'project', name: 'prj_1' }],
  },
  ...['held', 'released', 'migrated'].map(
    (event): Row => ({
      ...{ source: 'project', event, body: { projectId: 'prj_1', migrationId: 'mig_us_1' } },
      ends: [{ kind: 'project', name: 'prj_1' }],
    }),
  ),
  { source: 'project', event: 'moved', body: moved, ends: [{ kind: 'project', name: 'prj_1' }] },
  {
    source: 'org',
    event: 'member_removed',
    body: member,
    ends: [{ kind: 'membership', name: membershipId('acc_1', 'org_1') }],
  },
  {
    source: 'org',
    event: 'organization_updated',
    body: { organizationId: 'org_1' },
    ends: [{ kind: 'organization', name: 'org_1' }],
  },
  {
    source: 'token',
    event: 'revoked',
    body: { projectId: 'prj_1', fingerprint: 'aaaaaaaaaaaa', newFingerprint: 'bbbbbbbbbbbb' },
    ends: [
      { kind: 'token', name: 'aaaaaaaaaaaa' },
      { kind: 'token', name: 'bbbbbbbbbbbb' },
    ],
  },
  { source: 'token', event: 'key_updated', body: key, ends: [{ kind: 'key', name: 'key_1' }] },
  {
    source: 'token',
    event: 'key_created',
    body: { ...key, fingerprint: 'aaaaaaaaaaaa' },
    ends: [
      { kind: 'key', name: 'key_1' },
      { kind: 'key', name: 'aaaaaaaaaaaa' },
    ],
  },
  { source: 'org', event: 'invite_created', body: { organizationId: 'org_1' }, ends: [] },
];

for (const { source, event, body, ends } of rows) {
  test(`${source}.${event} ends the facts that it is about`, (t) => {
    t.deepEqual(endedBy(source, eventType(source, event), JSON.stringify(body)), ends);
  });
}

const movedType = eventType('project', 'moved');
const movedJson = JSON.stringify(moved);

const strange: [string, string, string][] = [
  ['an event of a later version', 'internal.silo.project.moved.v2', movedJson],
  ['an unknown event', eventType('project', 'teleported'), movedJson],
  ['an event of another source', eventType('org', 'invite_created'), movedJson],
  ['an event without the fact that it ends', movedType, '{}'],
  ['an event with a field of another type', movedType, '{"projectId":7}'],
  ['an event whose body is not an object', movedType, '"prj_1"'],
  ['an event whose body is not JSON', movedType, '{'],
  [
    'an event whose name is a property of every object',
    eventType('project', 'constructor'),
    movedJson,
  ],
];
for (const [what, type, bodyJson] of strange) {
  test(`${what} ends everything of its source`, (t) => {
    t.is(endedBy('project', type, bodyJson), 'everything');
  });
}

test('an event of a newer release ends its facts, whatever else its body contains', (t) => {
  const body = JSON.stringify({ ...moved, reason: 'REASON_OF_A_NEWER_RELEASE', distance: 7 });
  t.deepEqual(endedBy('project', movedType, body), [{ kind: 'project', name: 'prj_1' }]);
  const member = { organizationId: 'org_1', accountId: 'acc_1', level: 'LEVEL_OF_A_NEWER_RELEASE' };
  const added = endedBy('org', eventType('org', 'member_added'), JSON.stringify(member));
  t.deepEqual(added, [{ kind: 'membership', name: membershipId('acc_1', 'org_1') }]);
});
