import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { claim, given, refused } from '../claim.ts';
import type { Cast, Stage } from '../stage.ts';
import type { Projects } from './upgrade.ts';

/** Ada invites Grace, and Grace joins as a member. */
export async function invite({ narrator }: Stage, { ada, grace }: Cast, { mobile }: Projects) {
  const about = ada.organization.id;
  narrator.chapter('Ada invites Grace');

  await narrator.step('Before that, Ada’s organization does not exist for Grace', async (step) => {
    const refusal = await refused('PROJECT_NOT_FOUND', grace.api.getProject(mobile.id));
    step.refusal(refusal);
    await refused('ORGANIZATION_NOT_FOUND', grace.api.listMembers(about));
  });

  const invited = await narrator.step('Ada invites Grace’s e-mail', async (step) => {
    const answer = await ada.api.inviteMember(about, grace.email);
    const { id, email } = given(answer.invite, 'invite');
    claim('the invited e-mail', email, grace.email);
    narrator.name(id, 'the invite of Grace');
    step.say('Ada hands over its one-time code herself');
    step.refusal(await refused('INVITE_NOT_FOUND', ada.api.acceptInvite(answer.code)));
    step.say('that was Ada, with the code that is meant for Grace');
    await step.events({ type: 'org.invite_created', about, body: { inviteId: id } });
    return { id, code: answer.code };
  });

  await narrator.step('Grace accepts, and is a member of both organizations', async (step) => {
    const { member } = await grace.api.acceptInvite(invited.code);
    claim('her level', member?.level, Level.LEVEL_MEMBER);
    const organizations = await grace.api.listOrganizations();
    const names = organizations.map(({ name }) => name);
    claim('her organizations', names, [grace.organization.name, ada.organization.name].toSorted());
    claim('the project', (await grace.api.getProject(mobile.id)).name, mobile.name);
    step.say(`Grace’s organizations: ${names.join(', ')}`);
    await refused('INVITE_NOT_FOUND', grace.api.acceptInvite(invited.code));
    step.say('the code works once');
    const accountId = grace.accountId;
    await step.events(
      { type: 'org.member_added', about, body: { accountId, level: 'LEVEL_MEMBER' } },
      { type: 'org.invite_accepted', about, body: { accountId, inviteId: invited.id } },
    );
  });
}
