import { randomUUID } from 'node:crypto';
import { reasonOf } from '@silo/errors/from-status.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { bind } from '@silo/rpc/test/bind.ts';
import test, { type ExecutionContext } from 'ava';
import { acceptInvite } from '../handlers/accept-invite.ts';
import { deleteInvite } from '../handlers/delete-invite.ts';
import { changeEmail } from '../handlers/internal/staff.ts';
import { inviteMember } from '../handlers/invite-member.ts';
import { leaveOrganization } from '../handlers/leave-organization.ts';
import { listInvites } from '../handlers/list-invites.ts';
import { listMembers } from '../handlers/list-members.ts';
import { removeMember } from '../handlers/remove-member.ts';
import { updateMember } from '../handlers/update-member.ts';
import { updateOrganization } from '../handlers/update-organization.ts';
import { emailInvitesMax } from '../rules/invites.ts';
import type { InviteDocument } from '../store/documents.ts';
import { type ServiceHarness, serviceHarness } from './service-support.ts';
import { anInvite } from './support.ts';

const { LEVEL_MEMBER, LEVEL_ADMIN, LEVEL_OWNER } = Level;

async function organizationOfAda(t: ExecutionContext) {
  const harness = await serviceHarness(t);
  const { accountId: ada, organizationId } = await harness.signUp('ada@example.com');
  const { accountId: bob } = await harness.signUp('bob@example.com');
  return { ...harness, ada, bob, organizationId };
}

type Members = Awaited<ReturnType<typeof organizationOfAda>>;

function invite(
  { dependencies, call }: ServiceHarness,
  by: { accountId: string; organizationId: string },
  email: string,
  level: Level = LEVEL_MEMBER,
) {
  const requestId = randomUUID();
  const request = { organizationId: by.organizationId, email, level, requestId };
  return bind(inviteMember, dependencies)(request, call({ accountId: by.accountId, requestId }));
}

function accept({ dependencies, call }: ServiceHarness, accountId: string, code: string) {
  return bind(acceptInvite, dependencies)({ code, requestId: '' }, call({ accountId }));
}

function setLevel(
  { dependencies, call }: ServiceHarness,
  by: string,
  target: { organizationId: string; accountId: string; level: Level; etag?: string },
) {
  const shown = { email: '', displayName: '', joinTime: undefined, etag: '' };
  const member = { ...shown, ...target };
  return bind(updateMember, dependencies)(
    { member, updateMask: undefined, requestId: '' },
    call({ accountId: by }),
  );
}

/** Invites the e-mail of an account, and accepts the invite with that account. */
async function join(harness: Members, by: string, email: string, level: Level): Promise<void> {
  const { organizationId, bob } = harness;
  const { code } = await invite(harness, { accountId: by, organizationId }, email, level);
  await accept(harness, bob, code);
}

const byBob = ({ bob, organizationId }: Members) => ({ accountId: bob, organizationId });

/** Ends Bob's membership by the call of one of these accounts. */
async function endMembershipOf({ dependencies, call, bob, organizationId }: Members, by: string) {
  const request = { organizationId, accountId: bob, etag: '', requestId: '' };
  if (by !== bob) return await bind(removeMember, dependencies)(request, call({ accountId: by }));
  return await bind(leaveOrganization, dependencies)(request, call({ accountId: by }));
}

function changeEmailOf({ dependencies, call }: ServiceHarness, accountId: string, email: string) {
  return bind(changeEmail, dependencies)(
    { accountId, email, requestId: '' },
    call({ staff: true }),
  );
}

/** Inserts many invites by one statement: one statement for each would take long. */
async function insertInvites({ connection }: Members, all: InviteDocument[]): Promise<void> {
  await connection.db.collection<InviteDocument>('invites').insertMany(all);
}

async function openInvites({ stores, organizationId, signal }: Members): Promise<string[]> {
  const page = { now: new Date(), size: 1_000 };
  const listed = await stores.invites.listOpen(organizationId, page, signal);
  return listed.items.map(({ _id }) => _id);
}

async function refused(t: ExecutionContext, act: Promise<unknown>): Promise<string | undefined> {
  return reasonOf(await t.throwsAsync(act));
}

test('an invited account joins with the code, once', async (t) => {
  const harness = await organizationOfAda(t);
  const { ada, bob, organizationId, dependencies, call, emittedEvents } = harness;
  const { code, invite: made } = await invite(
    harness,
    { accountId: ada, organizationId },
    'BOB@example.com',
    LEVEL_ADMIN,
  );
  t.is(await refused(t, accept(harness, ada, code)), 'INVITE_NOT_FOUND');
  const joined = await accept(harness, bob, code);
  t.is(joined.member?.level, LEVEL_ADMIN);
  t.is(joined.organization?.level, LEVEL_ADMIN);
  t.is(await refused(t, accept(harness, bob, code)), 'INVITE_NOT_FOUND');
  t.deepEqual((await emittedEvents()).slice(-3), [
    'invite_created',
    'member_added',
    'invite_accepted',
  ]);
  const page = { organizationId, pageSize: 0, pageToken: '' };
  const { members } = await bind(listMembers, dependencies)(page, call({ accountId: bob }));
  t.deepEqual(
    members.map(({ email, level }) => [email, level]),
    [
      ['ada@example.com', LEVEL_OWNER],
      ['bob@example.com', LEVEL_ADMIN],
    ],
  );
  const listed = await bind(listInvites, dependencies)(page, call({ accountId: ada }));
  t.deepEqual(listed.invites, []);
  t.truthy(made?.expireTime);
  const again = invite(harness, { accountId: ada, organizationId }, 'bob@example.com');
  t.is(await refused(t, again), 'ALREADY_MEMBER');
});

test('joining ends every code for that e-mail: a removed member cannot rejoin with another code', async (t) => {
  const harness = await organizationOfAda(t);
  const { ada, bob, organizationId, dependencies, call } = harness;
  const by = { accountId: ada, organizationId };
  const first = await invite(harness, by, 'bob@example.com');
  const second = await invite(harness, by, 'bob@example.com');
  await accept(harness, bob, first.code);
  const request = { organizationId, accountId: bob, etag: '', requestId: '' };
  await bind(removeMember, dependencies)(request, call({ accountId: ada }));
  t.is(await refused(t, accept(harness, bob, second.code)), 'INVITE_NOT_FOUND');
});

test('lowering a member permanently deletes the invites that the member may no longer grant', async (t) => {
  const harness = await organizationOfAda(t);
  const { ada, bob, organizationId, emittedEvents } = harness;
  await join(harness, ada, 'bob@example.com', LEVEL_OWNER);
  const byAda = await invite(harness, { accountId: ada, organizationId }, 'kim@example.com');
  const asOwner = await invite(harness, byBob(harness), 'eve@example.com', LEVEL_OWNER);
  const asAdmin = await invite(harness, byBob(harness), 'eve@example.com', LEVEL_ADMIN);
  await setLevel(harness, ada, { organizationId, accountId: bob, level: LEVEL_ADMIN });
  t.deepEqual(await openInvites(harness), [byAda.invite?.id, asAdmin.invite?.id]);
  t.deepEqual((await emittedEvents()).slice(-2), ['member_updated', 'invite_deleted']);
  await setLevel(harness, ada, { organizationId, accountId: bob, level: LEVEL_MEMBER });
  t.deepEqual(await openInvites(harness), [byAda.invite?.id]);
  await setLevel(harness, ada, { organizationId, accountId: bob, level: LEVEL_OWNER });
  const { accountId: eve } = await harness.signUp('eve@example.com');
  for (const { code } of [asOwner, asAdmin]) {
    t.is(await refused(t, accept(harness, eve, code)), 'INVITE_NOT_FOUND');
  }
});

test('after an admin is removed and joins again, all earlier invites of this admin are deleted', async (t) => {
  for (const ending of ['removed', 'left'] as const) {
    const harness = await organizationOfAda(t);
    const { ada, bob, emittedEvents } = harness;
    await join(harness, ada, 'bob@example.com', LEVEL_ADMIN);
    const { accountId: eve } = await harness.signUp('eve@example.com');
    const { code } = await invite(harness, byBob(harness), 'eve@example.com');
    await endMembershipOf(harness, ending === 'left' ? bob : ada);
    t.deepEqual(await openInvites(harness), []);
    t.deepEqual((await emittedEvents()).slice(-2), ['member_removed', 'invite_deleted']);
    await join(harness, ada, 'bob@example.com', LEVEL_ADMIN);
    t.is(await refused(t, accept(harness, eve, code)), 'INVITE_NOT_FOUND', ending);
  }
});

test('a removed member cannot rejoin with an invite for an e-mail that it takes over later', async (t) => {
  const harness = await organizationOfAda(t);
  const { ada, bob, organizationId, emittedEvents } = harness;
  await join(harness, ada, 'bob@example.com', LEVEL_ADMIN);
  const { code } = await invite(
    harness,
    { accountId: ada, organizationId },
    'robert@example.com',
    LEVEL_ADMIN,
  );
  await endMembershipOf(harness, ada);
  await changeEmailOf(harness, bob, 'Robert@example.com');
  t.deepEqual((await emittedEvents()).slice(-2), ['account_updated', 'invite_deleted']);
  t.is(await refused(t, accept(harness, bob, code)), 'INVITE_NOT_FOUND');
  t.deepEqual(await openInvites(harness), []);
});

test('a change of e-mail deletes the invites for the old one: its next holder inherits none', async (t) => {
  const harness = await organizationOfAda(t);
  const { ada, bob, organizationId } = harness;
  const by = { accountId: ada, organizationId };
  const { code } = await invite(harness, by, 'bob@example.com');
  await changeEmailOf(harness, bob, 'BOB@example.com');
  t.is((await openInvites(harness)).length, 1, 'a change of case deletes no invite');
  await changeEmailOf(harness, bob, 'robert@example.com');
  const { accountId: eve } = await harness.signUp('bob@example.com');
  t.is(await refused(t, accept(harness, eve, code)), 'INVITE_NOT_FOUND');
  const fresh = await invite(harness, by, 'bob@example.com');
  t.is((await accept(harness, eve, fresh.code)).member?.level, LEVEL_MEMBER);
});

test('ending a membership deletes the invites for its e-mail', async (t) => {
  const harness = await organizationOfAda(t);
  const { ada, organizationId, stores, decide, emittedEvents } = harness;
  await join(harness, ada, 'bob@example.com', LEVEL_MEMBER);
  // The state that a race of InviteMember with ChangeEmail may leave.
  const stray = anInvite(organizationId, 'bob@example.com', { inviterAccountId: ada });
  await decide(async (tx) => await stores.invites.insert(tx, stray));
  await endMembershipOf(harness, ada);
  t.deepEqual(await openInvites(harness), []);
  t.is((await emittedEvents()).at(-1), 'invite_deleted');
});

test('a change of e-mail deletes all its invites, a bounded number in each transaction', async (t) => {
  const harness = await organizationOfAda(t);
  const { bob, emittedEvents } = harness;
  const count = 2 * emailInvitesMax + 1;
  await insertInvites(
    harness,
    Array.from({ length: count }, (_, nth) => anInvite(`org_us_${nth % 40}`, 'robert@example.com')),
  );
  const taken = changeEmailOf(harness, bob, 'ada@example.com');
  t.is(await refused(t, taken), 'EMAIL_TAKEN');
  await changeEmailOf(harness, bob, 'robert@example.com');
  const events = (await emittedEvents()).filter((event) => event === 'invite_deleted');
  t.is(events.length, count);
});

test('an admin cannot invite, demote, remove or appoint an owner', async (t) => {
  const harness = await organizationOfAda(t);
  const { ada, bob, organizationId, dependencies, call } = harness;
  const by = { accountId: ada, organizationId };
  const forOwner = await invite(harness, by, 'eve@example.com', LEVEL_OWNER);
  const { code } = await invite(harness, by, 'bob@example.com', LEVEL_ADMIN);
  await accept(harness, bob, code);
  const byBob = { accountId: bob, organizationId };
  const acts = [
    invite(harness, byBob, 'joe@example.com', LEVEL_OWNER),
    setLevel(harness, bob, { organizationId, accountId: ada, level: LEVEL_MEMBER }),
    setLevel(harness, bob, { organizationId, accountId: bob, level: LEVEL_OWNER }),
    bind(removeMember, dependencies)(
      { organizationId, accountId: ada, etag: '', requestId: '' },
      call({ accountId: bob }),
    ),
    bind(deleteInvite, dependencies)(
      { organizationId, inviteId: forOwner.invite?.id ?? '', requestId: '' },
      call({ accountId: bob }),
    ),
  ];
  for (const act of acts) t.is(await refused(t, act), 'ADMIN_REQUIRED');
});

test('an organization keeps an owner if several step down or leave concurrently', async (t) => {
  const harness = await organizationOfAda(t);
  const { ada, bob, organizationId, dependencies, call, stores, signal } = harness;
  const leave = bind(leaveOrganization, dependencies);
  const request = { organizationId, requestId: '' };
  t.is(await refused(t, leave(request, call({ accountId: ada }))), 'LAST_OWNER');
  const alone = { organizationId, accountId: ada, level: LEVEL_ADMIN };
  t.is(await refused(t, setLevel(harness, ada, alone)), 'LAST_OWNER');
  const { code } = await invite(
    harness,
    { accountId: ada, organizationId },
    'bob@example.com',
    LEVEL_OWNER,
  );
  await accept(harness, bob, code);
  const outcomes = await Promise.allSettled([
    leave(request, call({ accountId: ada })),
    setLevel(harness, bob, { organizationId, accountId: bob, level: LEVEL_MEMBER }),
  ]);
  const reasons = outcomes.flatMap((each) =>
    each.status === 'rejected' ? [reasonOf(each.reason)] : [],
  );
  t.deepEqual(reasons, ['LAST_OWNER']);
  t.is((await stores.organizations.readFact(organizationId, signal))?.ownerCount, 1);
});

test('a caller that was removed or demoted after its call was authorized commits nothing', async (t) => {
  const harness = await organizationOfAda(t);
  const { ada, bob, organizationId, dependencies, call } = harness;
  // Bob's call was authorized while he was an admin. He is not a member when it is decided.
  const byBob = { accountId: bob, organizationId };
  const late = invite(harness, byBob, 'eve@example.com');
  t.is(await refused(t, late), 'ORGANIZATION_NOT_FOUND');
  const { code } = await invite(harness, { accountId: ada, organizationId }, 'bob@example.com');
  await accept(harness, bob, code);
  t.is(await refused(t, invite(harness, byBob, 'eve@example.com')), 'ADMIN_REQUIRED');
  const given = { id: organizationId, name: 'Bob’s', membersMayCreateProjects: false, level: 0 };
  const times = { createTime: undefined, updateTime: undefined, etag: '' };
  const update = bind(updateOrganization, dependencies)(
    { organization: { ...given, level: 0, ...times }, updateMask: ['name'], requestId: '' },
    call({ accountId: bob }),
  );
  t.is(await refused(t, update), 'ADMIN_REQUIRED');
});

test('a member’s etag changes with the membership, and an old one is refused', async (t) => {
  const harness = await organizationOfAda(t);
  const { ada, bob, organizationId } = harness;
  const { code } = await invite(harness, { accountId: ada, organizationId }, 'bob@example.com');
  const { member } = await accept(harness, bob, code);
  const target = { organizationId, accountId: bob, level: LEVEL_ADMIN, etag: member?.etag ?? '' };
  const updated = await setLevel(harness, ada, target);
  t.not(updated.member?.etag, member?.etag);
  const stale = setLevel(harness, ada, { ...target, level: LEVEL_MEMBER });
  t.is(await refused(t, stale), 'ETAG_MISMATCH');
  const unknown = setLevel(harness, ada, { ...target, accountId: 'acc_none' });
  t.is(await refused(t, unknown), 'MEMBER_NOT_FOUND');
});

test('a thousand invites may be open; expired ones do not count', async (t) => {
  const harness = await organizationOfAda(t);
  const { ada, bob, organizationId, emittedEvents } = harness;
  const past = new Date(Date.now() - 1);
  await join(harness, ada, 'bob@example.com', LEVEL_ADMIN);
  await insertInvites(harness, [
    anInvite(organizationId, 'late@example.com', { expireTime: past }),
    ...Array.from({ length: 999 }, (_, nth) =>
      anInvite(organizationId, `${nth}@example.com`, { inviterAccountId: bob }),
    ),
  ]);
  const by = { accountId: ada, organizationId };
  const outcomes = await Promise.allSettled([
    invite(harness, by, 'eve@example.com'),
    invite(harness, by, 'joe@example.com'),
  ]);
  const reasons = outcomes.flatMap((each) =>
    each.status === 'rejected' ? [reasonOf(each.reason)] : [],
  );
  t.deepEqual(reasons, ['RESOURCE_LIMIT'], 'two concurrent invites do not both succeed');
  await endMembershipOf(harness, ada);
  t.is((await openInvites(harness)).length, 1);
  t.is((await emittedEvents()).filter((event) => event === 'invite_deleted').length, 999);
});

test('a repeated invitation returns the same code', async (t) => {
  const harness = await organizationOfAda(t);
  const { ada, organizationId, dependencies, call } = harness;
  const requestId = randomUUID();
  const request = { organizationId, email: 'eve@example.com', level: LEVEL_MEMBER, requestId };
  const act = () => bind(inviteMember, dependencies)(request, call({ accountId: ada, requestId }));
  t.deepEqual(await act(), await act());
});

test('staff can change an e-mail to one that is not taken, and no event contains it', async (t) => {
  const { dependencies, call, bob, eventLog, signal, emittedEvents } = await organizationOfAda(t);
  const change = bind(changeEmail, dependencies);
  const taken = { accountId: bob, email: 'ADA@example.com', requestId: '' };
  t.is(await refused(t, change(taken, call({ staff: true }))), 'EMAIL_TAKEN');
  const unknown = { accountId: 'acc_none', email: 'x@example.com', requestId: '' };
  t.is(await refused(t, change(unknown, call({ staff: true }))), 'ACCOUNT_NOT_FOUND');
  const free = { accountId: bob, email: 'robert@example.com', requestId: '' };
  const { account } = await change(free, call({ staff: true }));
  t.is(account?.email, 'robert@example.com');
  t.is((await emittedEvents()).at(-1), 'account_updated');
  const { events } = await eventLog.read({ afterSequence: 0, limit: 100 }, signal);
  t.false(JSON.stringify(events).includes('@example.com'));
});
