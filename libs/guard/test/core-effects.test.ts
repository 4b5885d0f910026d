import * as events from '@silo/protos/gen/silo/events/v1/events.ts';
import test from 'ava';
import { endedBy } from '../core/event-effects.ts';
import { type Ended, membershipId } from '../core/facts.ts';
import { type Source, sources } from '../core/position.ts';

type Row = { source: Source; event: string; body: object; ends: Ended };

const moved = { projectId: 'prj_1', oldOrganizationId: 'org_1', newOrganizationId: 'org_2' };
const member = { organizationId: 'org_1', accountId: 'acc_1' };
const key = { keyId: 'key_1', accountId: 'acc_1' };

const rows: Row[] = [
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
    t.deepEqual(endedBy(source, event, body), ends);
  });
}

const strange: [string, string, unknown][] = [
  ['an event of a later version', 'teleported', moved],
  ['an event without what it is about', 'moved', {}],
  ['an event whose body is no object', 'moved', 'prj_1'],
  ['an event named like what every object has', 'constructor', moved],
];
for (const [what, event, body] of strange) {
  test(`${what} ends everything of its source`, (t) => {
    t.is(endedBy('project', event, body), 'everything');
  });
}

test('every event that a source publishes is understood', (t) => {
  const known: Record<Source, string[]> = {
    org: [
      'account_created',
      'account_updated',
      'organization_created',
      'organization_updated',
      'organization_deleted',
      'member_added',
      'member_updated',
      'member_removed',
      'invite_created',
      'invite_deleted',
      'invite_accepted',
    ],
    project: [
      'created',
      'updated',
      'moved',
      'move_finalized',
      'deleted',
      'undeleted',
      'slots_changed',
    ],
    token: ['created', 'revoked', 'key_created', 'key_updated', 'key_revoked'],
  };
  const body = { ...moved, ...member, ...key, fingerprint: 'aaaaaaaaaaaa' };
  for (const source of sources) {
    for (const event of known[source]) t.not(endedBy(source, event, body), 'everything', event);
  }
  // Of each event there is a message; billing's three end no fact, and nobody follows billing.
  const messages = Object.values(events).filter(
    (value) => typeof value === 'object' && 'fromJSON' in value && value !== events.FieldChange,
  );
  const billing = 3;
  t.is(messages.length, Object.values(known).flat().length + billing);
});
