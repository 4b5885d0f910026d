import { previewBlocks } from '@silo/cli/render/move-preview.ts';
import { toText } from '@silo/cli/text.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { claim, refused } from '../claim.ts';
import { holderOf } from '../person.ts';
import {
  type Cast,
  checkAccess,
  claimTokenGood,
  endedText,
  type Person,
  type Stage,
  type TokenedProject,
} from '../stage.ts';
import type { Projects } from './upgrade.ts';

/** A key of Ada or Grace, and whether it keeps its access. */
type Key = { owner: Person; name: string; secret: string; keepsAccess: boolean };

/**
 * Grace moves a project out of Ada's organization, whose members lose access; undoes it, and moves
 * it again. Returns the ids of all three moves.
 */
export async function moveAway(stage: Stage, cast: Cast, { mobile }: Projects): Promise<string[]> {
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

  const fingerprint = await preview(stage, cast, mobile);
  const first = await move(stage, cast, mobile, {
    title: 'Grace moves it, as previewed, to her own organization',
    name: 'the first move',
    fingerprint,
  });

  const undo = await narrator.step('She takes the move back: all is as it was', async (step) => {
    const { move: back, propagation } = await grace.api.undoMove(first);
    narrator.name(back.id, 'the undo');
    claim('what it undid', back.undoOf, first);
    claim('the owner', (await ada.api.getProject(mobile.id)).organizationId, ada.organization.id);
    for (const key of keys) await claimReach(stage, key, mobile.id, true);
    step.say(`Ada, and all ${keys.length} keys, read it again`);
    step.say(endedText(propagation));
    const body = { newOrganizationId: ada.organization.id, moveId: back.id, undoOf: first };
    await step.events({ type: 'project.moved', about: mobile.id, body });
    return back.id;
  });

  const title = 'She moves it again, and leaves it there';
  const second = await move(stage, cast, mobile, { title, name: 'the second move' });

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
  return [first, undo, second];
}

/** Shows what the move would do, like `silo move`; returns the fingerprint of what was shown. */
async function preview(
  { narrator }: Stage,
  { ada, grace }: Cast,
  mobile: TokenedProject,
): Promise<string> {
  const title = 'Before she moves it, Grace sees what would happen';
  return await narrator.step(title, async (step) => {
    const [source, destination] = [ada.organization, grace.organization];
    const answer = await grace.api.previewMove(mobile.id, destination.id);
    claim('whether it is allowed', answer.allowed, true);
    const names = answer.losing?.members.map(({ displayName }) => displayName);
    claim('who would lose access', names, [ada.name]);
    const projects = [await grace.api.getProject(mobile.id)];
    claim('the owner, still', projects[0]?.organizationId, source.id);
    const blocks = previewBlocks(answer, { projects, source, destination });
    for (const line of toText(blocks, { colour: false }).trimEnd().split('\n')) step.say(line);
    return answer.planFingerprint;
  });
}

type Wanted = { title: string; name: string; fingerprint?: string };

/** Grace moves the project to her own organization; returns the id of the move. */
async function move(
  { narrator }: Stage,
  { ada, grace }: Cast,
  mobile: TokenedProject,
  { title, name, fingerprint }: Wanted,
): Promise<string> {
  return await narrator.step(title, async (step) => {
    const destination = grace.organization;
    const moved = await grace.api.moveProject(mobile.id, destination.id, fingerprint);
    const { id, sourceOrganizationId, destinationOrganizationId } = moved.move;
    narrator.name(id, name);
    claim('the owner', moved.project.organizationId, destination.id);
    claim(
      'the move',
      [sourceOrganizationId, destinationOrganizationId],
      [ada.organization.id, destination.id],
    );
    // These checks start after the move has returned.
    await claimLost(ada, mobile.id);
    step.say(`${mobile.name} belongs to ${destination.name} now, with the same id`);
    step.say('Ada, the owner of the organization that it left, cannot read it any more');
    step.say(endedText(moved.propagation));
    const counts = [ada, grace].map(async ({ api, organization }) => {
      return (await api.getSubscription(organization.id)).projectCount;
    });
    claim('the counts', await Promise.all(counts), [4, 2]);
    const body = {
      oldOrganizationId: ada.organization.id,
      newOrganizationId: destination.id,
      moveId: id,
    };
    await step.events({ type: 'project.moved', about: mobile.id, body });
    return id;
  });
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
      stage.narrator.name(apiKey.id, `${owner.name}’s ${key.name}`);
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
 * Fails if the key's access to the project is not the expected one, by the public API and by the
 * check of services.
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

/** Fails unless the project looks absent to the person. */
async function claimLost({ api, organization }: Person, projectId: string) {
  await refused('PROJECT_NOT_FOUND', api.getProject(projectId));
  await refused('PROJECT_NOT_FOUND', api.getProjectToken(projectId));
  await refused('PROJECT_NOT_FOUND', api.regenerateProjectToken(projectId, ''));
  await refused('PROJECT_NOT_FOUND', api.moveProject(projectId, organization.id));
  const ids = (await api.listProjects(organization.id)).map(({ id }) => id);
  claim('the project is among those of the organization', ids.includes(projectId), false);
}
