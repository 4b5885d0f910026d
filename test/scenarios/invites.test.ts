import { randomUUID } from 'node:crypto';
import type { InviteDocument } from '@silo/org-service/store/documents.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Member } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { join } from '../authorization/world.ts';
import type { SignedUp } from '../harness/clients.ts';
import { outcomes, refused } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import { firstPage, present, scenarios } from './support.ts';

const test = scenarios();
const { LEVEL_ADMIN, LEVEL_MEMBER, LEVEL_OWNER } = Level;
const dayMs = 24 * 60 * 60 * 1000;

async function invite(
  inviter: SignedUp,
  email: string,
  level: Level = LEVEL_MEMBER,
  organizationId = inviter.organization.id,
) {
  const request = { organizationId, email, level, requestId: randomUUID() };
  const { invite: made, code } = await inviter.api.organizations.inviteMember(request);
  return { invite: present(made), code };
}

const accept = ({ api }: SignedUp, code: string) =>
  api.organizations.acceptInvite({ code, requestId: '' });

async function openInvites({ api }: SignedUp, organizationId: string): Promise<string[]> {
  const { invites } = await api.organizations.listInvites({ organizationId, ...firstPage });
  return invites.map(({ id }) => id);
}

async function pair(silo: TestSilo): Promise<[SignedUp, SignedUp]> {
  return await Promise.all([silo.signUp('Ada'), silo.signUp('Bob')]);
}

/** Makes the invite expire at once. */
async function expire({ mongo, databasePrefix }: TestSilo, inviteId: string): Promise<void> {
  const invites = mongo.db(`${databasePrefix}_org`).collection<InviteDocument>('invites');
  const expireTime = new Date(Date.now() - 1);
  const { modifiedCount } = await invites.updateOne({ _id: inviteId }, { $set: { expireTime } });
  if (modifiedCount !== 1) throw new Error('no such invite');
}

test('an invited e-mail joins at the level that the inviter gave, and can read the organization', async (t) => {
  const [ada, bob] = await pair(t.context.silo);
  const { invite: made, code } = await invite(ada, bob.account.email.toUpperCase(), LEVEL_ADMIN);
  t.is(made.inviterAccountId, ada.account.id);
  t.is(present(made.expireTime).getTime() - present(made.createTime).getTime(), 7 * dayMs);
  t.not(made.id, code);
  const { organization, member } = await accept(bob, code);
  t.is(organization?.id, ada.organization.id);
  t.is(organization?.level, LEVEL_ADMIN);
  t.like(member, { accountId: bob.account.id, level: LEVEL_ADMIN, email: bob.account.email });
  const { project } = await bob.api.projects.getProject({ projectId: ada.projectId });
  t.is(project?.organizationId, ada.organization.id);
});

test('a code works once', async (t) => {
  const [ada, bob] = await pair(t.context.silo);
  const { code } = await invite(ada, bob.account.email);
  await accept(bob, code);
  await refused(t, accept(bob, code), 'INVITE_NOT_FOUND');
  t.deepEqual(await openInvites(ada, ada.organization.id), []);
});

test('of many concurrent accepts of one invite, one succeeds', async (t) => {
  const [ada, bob] = await pair(t.context.silo);
  const { code } = await invite(ada, bob.account.email);
  const all = await outcomes(Array.from({ length: 6 }, () => accept(bob, code)));
  t.deepEqual(all.sort(), [...Array(5).fill('INVITE_NOT_FOUND'), 'OK']);
  const { id: organizationId } = ada.organization;
  const { members } = await ada.api.organizations.listMembers({ organizationId, ...firstPage });
  t.is(members.length, 2);
});

test('two invites of one e-mail accepted at once add one member', async (t) => {
  const [ada, bob] = await pair(t.context.silo);
  const [first, second] = [
    await invite(ada, bob.account.email),
    await invite(ada, bob.account.email, LEVEL_ADMIN),
  ];
  const all = await outcomes([accept(bob, first.code), accept(bob, second.code)]);
  t.deepEqual(all.sort(), ['INVITE_NOT_FOUND', 'OK']);
  t.deepEqual(await openInvites(ada, ada.organization.id), [], 'the other invite has ended, too');
});

test('an invite is only for its e-mail, and looks to others as if it did not exist', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = await pair(silo);
  const eve = await silo.signUp('Eve');
  const { code } = await invite(ada, bob.account.email);
  const wrong = await refused(t, accept(eve, code), 'INVITE_NOT_FOUND');
  const none = await refused(t, accept(eve, 'ivc_nonsense'), 'INVITE_NOT_FOUND');
  t.deepEqual([wrong.message, wrong.details, wrong.code], [none.message, none.details, none.code]);
  await accept(bob, code);
});

test('an invite expires after seven days', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = await pair(silo);
  const { code, invite: made } = await invite(ada, bob.account.email);
  await expire(silo, made.id);
  await refused(t, accept(bob, code), 'INVITE_NOT_FOUND');
  t.deepEqual(await openInvites(ada, ada.organization.id), []);
  await accept(bob, (await invite(ada, bob.account.email)).code);
});

test('open invites are listed oldest first, page by page, without their codes', async (t) => {
  const ada = await t.context.silo.signUp('Ada');
  const organizationId = ada.organization.id;
  const made = [];
  for (const name of ['c', 'a', 'b']) made.push(await invite(ada, `${name}@example.com`));
  const { listInvites } = ada.api.organizations;
  const first = await listInvites({ organizationId, pageSize: 2, pageToken: '' });
  const pageToken = first.nextPageToken;
  const second = await listInvites({ organizationId, pageSize: 2, pageToken });
  const listed = [...first.invites, ...second.invites];
  t.deepEqual(
    listed,
    made.map((each) => each.invite),
  );
  t.is(second.nextPageToken, '');
  for (const { code } of made) t.false(JSON.stringify(listed).includes(code));
});

test('a withdrawn invite does not work', async (t) => {
  const [ada, bob] = await pair(t.context.silo);
  const { code, invite: made } = await invite(ada, bob.account.email);
  const which = { organizationId: ada.organization.id, inviteId: made.id, requestId: '' };
  await ada.api.organizations.deleteInvite(which);
  await refused(t, accept(bob, code), 'INVITE_NOT_FOUND');
  await refused(t, ada.api.organizations.deleteInvite(which), 'INVITE_NOT_FOUND');
});

test('an invite does not grant what its inviter can no longer grant', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = await pair(silo);
  const cleo = await silo.signUp('Cleo');
  const organizationId = ada.organization.id;
  await join(ada, bob, LEVEL_OWNER);
  const asOwner = await invite(bob, cleo.account.email, LEVEL_OWNER, organizationId);
  const setBob = (level: Level) =>
    ada.api.organizations.updateMember({
      member: Member.fromPartial({ organizationId, accountId: bob.account.id, level }),
      updateMask: undefined,
      requestId: '',
    });
  await setBob(LEVEL_ADMIN);
  await refused(t, accept(cleo, asOwner.code), 'INVITE_NOT_FOUND');
  const asMember = await invite(bob, cleo.account.email, LEVEL_MEMBER, organizationId);
  await setBob(LEVEL_MEMBER);
  await refused(t, accept(cleo, asMember.code), 'INVITE_NOT_FOUND');
  await bob.api.organizations.leaveOrganization({ organizationId, requestId: '' });
  await refused(t, accept(cleo, asMember.code), 'INVITE_NOT_FOUND');
});

test('a member cannot invite to a level above its own, nor withdraw such an invite', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = await pair(silo);
  const organizationId = ada.organization.id;
  await join(ada, bob, LEVEL_ADMIN);
  const email = 'somebody@example.com';
  await refused(t, invite(bob, email, LEVEL_OWNER, organizationId), 'ADMIN_REQUIRED');
  const { invite: made } = await invite(ada, email, LEVEL_OWNER);
  const which = { organizationId, inviteId: made.id, requestId: '' };
  await refused(t, bob.api.organizations.deleteInvite(which), 'ADMIN_REQUIRED');
});

test('a member with the level MEMBER neither invites nor sees invites', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = await pair(silo);
  const organizationId = ada.organization.id;
  await join(ada, bob, LEVEL_MEMBER);
  await refused(t, openInvites(bob, organizationId), 'ADMIN_REQUIRED');
  const inviting = invite(bob, 'somebody@example.com', LEVEL_MEMBER, organizationId);
  await refused(t, inviting, 'ADMIN_REQUIRED');
});

test('a member cannot be invited, and a change of e-mail moves no invite', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = await pair(silo);
  await join(ada, bob, LEVEL_MEMBER);
  const { details } = await refused(t, invite(ada, bob.account.email), 'ALREADY_MEMBER');
  t.is(details.preconditionFailure?.[0]?.type, 'ALREADY_MEMBER');
  // Invited with the e-mail that a member adopts later.
  const email = `${randomUUID()}@example.com`;
  const { code } = await invite(ada, email);
  const accountId = bob.account.id;
  await silo.internal().org.staff.changeEmail({ accountId, email, requestId: '' });
  await refused(t, accept(bob, code), 'INVITE_NOT_FOUND');
  t.deepEqual(await openInvites(ada, ada.organization.id), []);
});

test('an invite to an organization that is deleted does not work, however the two race', async (t) => {
  const { silo } = t.context;
  const [ada, bob] = await pair(silo);
  const { code } = await invite(ada, bob.account.email);
  const { projectId } = ada;
  const organizationId = ada.organization.id;
  await ada.api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  const deletion = { organizationId, etag: '', requestId: '', endDeletedProjects: true };
  const [, accepted] = await outcomes([
    ada.api.organizations.deleteOrganization(deletion),
    accept(bob, code),
  ]);
  t.true(accepted === 'OK' || accepted === 'INVITE_NOT_FOUND', accepted);
  const { organizations } = await bob.api.organizations.listOrganizations(firstPage);
  t.deepEqual(
    organizations.map(({ id }) => id),
    [bob.organization.id],
  );
  await refused(t, accept(bob, code), 'INVITE_NOT_FOUND');
});
