import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { claim, refused } from '../claim.ts';
import { holderOf } from '../person.ts';
import { type Cast, checkAccess, claimTokenGood, type Person, type Stage } from '../stage.ts';
import type { Projects } from './upgrade.ts';

/** A key of one of the two, and what becomes of it. */
type Key = { owner: Person; name: string; secret: string; keepsAccess: boolean };

/** Grace moves a project out of Ada's organization; her former co-members lose access. */
export async function moveAway(stage: Stage, cast: Cast, { mobile }: Projects): Promise<string> {
  const { narrator } = stage;
  const { ada, grace } = cast;
  narrator.chapter('A project moves, and members of its old organization lose it');

  await narrator.step('Grace, a mere member, may not move it out', async (step) => {
    const refusal = await refused(
      'ADMIN_REQUIRED',
      grace.api.moveProject(mobile.id, grace.organization.id),
    );
    step.refusal(refusal);
  });

  await narrator.step('Ada makes her an admin', async (step) => {
    const about = ada.organization.id;
    const { level } = await ada.api.updateMember(about, grace.accountId, Level.LEVEL_ADMIN);
    claim('her level', level, Level.LEVEL_ADMIN);
    const body = { accountId: grace.accountId, oldLevel: 'LEVEL_MEMBER', level: 'LEVEL_ADMIN' };
    await step.events({ type: 'org.member_updated', about, body });
  });

  const keys = await createKeys(stage, cast, mobile.id);

  const moveId = await narrator.step('Grace moves it to her own organization', async (step) => {
    const { project, move } = await grace.api.moveProject(mobile.id, grace.organization.id);
    claim('the owner', project.organizationId, grace.organization.id);
    claim(
      'the move',
      [move.sourceOrganizationId, move.destinationOrganizationId],
      [ada.organization.id, grace.organization.id],
    );
    // These checks start after the move has returned.
    await claimLost(ada, mobile.id);
    step.say(
      `${move.id}: ${mobile.name} belongs to ${grace.organization.name} now, with the same id`,
    );
    step.say('Ada, the owner of the organization that it left, cannot read it any more');
    const counts = [ada, grace].map(async ({ api, organization }) => {
      return (await api.getSubscription(organization.id)).projectCount;
    });
    claim('the counts', await Promise.all(counts), [4, 2]);
    const body = {
      oldOrganizationId: ada.organization.id,
      newOrganizationId: grace.organization.id,
      moveId: move.id,
    };
    await step.events({ type: 'project.moved', about: mobile.id, body });
    return move.id;
  });

  await narrator.step(
    'Its token goes with it: apps that send data notice nothing',
    async (step) => {
      const expected = { projectId: mobile.id, organizationId: grace.organization.id };
      await claimTokenGood(stage, mobile.token, expected);
      claim('the token', (await grace.api.getProjectToken(mobile.id)).token, mobile.token);
      step.say(`${mobile.token} is accepted, for ${grace.organization.name}`);
    },
  );

  await narrator.step(
    'The API keys have followed their owners and their restrictions',
    async (step) => {
      for (const key of keys) {
        await claimReach(stage, key, mobile.id, key.keepsAccess);
        const verdict = key.keepsAccess ? 'still reads it' : 'does not reach it any more';
        step.say(`${key.owner.name}’s ${key.name}: ${verdict}`);
      }
    },
  );
  return moveId;
}

async function createKeys(stage: Stage, { ada, grace }: Cast, projectId: string): Promise<Key[]> {
  const title = 'Both have API keys that reach the project';
  return await stage.narrator.step(title, async (step) => {
    const scopes = ['project:read', 'token:read'];
    const organizationIds = [ada.organization.id];
    const projectIds = [projectId];
    const create = async (owner: Person, keepsAccess: boolean, wanted: { name: string }) => {
      const { apiKey, secret } = await owner.api.createApiKey({ scopes, ...wanted });
      const key = { owner, name: wanted.name, secret, keepsAccess };
      await claimReach(stage, key, projectId, true);
      step.say(`${owner.name}’s ${key.name} (${apiKey.masked}) reads it`);
      await step.events({ type: 'token.key_created', about: apiKey.id });
      return key;
    };
    const toOrganization = { name: 'key restricted to Analytical Engines', organizationIds };
    const toProject = { name: 'key restricted to the project', projectIds };
    return [
      await create(ada, false, { name: 'unrestricted key' }),
      await create(ada, false, toOrganization),
      await create(ada, false, toProject),
      await create(grace, true, { name: 'unrestricted key' }),
      await create(grace, false, toOrganization),
      await create(grace, true, toProject),
    ];
  });
}

/**
 * Fails unless the key reaches the project, or does not, by the public API and by the check of
 * services.
 */
async function claimReach(
  stage: Stage,
  { secret, name }: Key,
  projectId: string,
  reaches: boolean,
) {
  const holder = holderOf(stage.wires, secret);
  if (reaches) claim('the project', (await holder.getProject(projectId)).id, projectId);
  else await refused('PROJECT_NOT_FOUND', holder.getProject(projectId));
  const verdict = reaches ? 'allowed' : 'PROJECT_NOT_FOUND';
  claim(
    `how services decide about the ${name}`,
    await checkAccess(stage, secret, projectId),
    verdict,
  );
}

/** Fails unless the project does not exist for the person. */
async function claimLost({ api, organization }: Person, projectId: string) {
  await refused('PROJECT_NOT_FOUND', api.getProject(projectId));
  await refused('PROJECT_NOT_FOUND', api.getProjectToken(projectId));
  await refused('PROJECT_NOT_FOUND', api.regenerateProjectToken(projectId, ''));
  await refused('PROJECT_NOT_FOUND', api.moveProject(projectId, organization.id));
  const ids = (await api.listProjects(organization.id)).map(({ id }) => id);
  claim('the project is among those of the organization', ids.includes(projectId), false);
}
