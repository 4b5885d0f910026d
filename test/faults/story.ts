import { randomUUID } from 'node:crypto';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { createKey, join, upgrade } from '../authorization/world.ts';
import type { Clients, PublicApi, SignedUp } from '../harness/clients.ts';
import { untilAnswered } from '../harness/eventually.ts';
import { steadyApi } from '../harness/steady.ts';
/**
 * Two accounts with an organization each, both on the plan without a limit; two or more projects.
 */
export type Story = {
  ada: SignedUp;
  bob: SignedUp;
  projectIds: string[];
  keyId: string;
  deletedOrganizationId: string;
};

/** Makes every kind of change that a deployment supports. */
export async function runStory(silo: Clients): Promise<Story> {
  const signUp = async (name: string) => {
    const person = await silo.signUp(name);
    return { ...person, api: steadyApi(person.api) };
  };
  const [ada, bob] = await Promise.all([signUp('Ada'), signUp('Bob')]);
  const { api } = ada;
  const { id: organizationId } = ada.organization;
  await Promise.all([upgrade(api, organizationId), upgrade(bob.api, bob.organization.id)]);
  await join(bob, ada, Level.LEVEL_MEMBER);
  await join(ada, bob, Level.LEVEL_ADMIN);
  await changeMembers(ada, bob);
  const moved = await newProject(api, organizationId, 'Moved');
  const deleted = await newProject(api, organizationId, 'Deleted');
  const kept = await newProject(api, organizationId, 'Kept');
  await api.projects.moveProject({
    projectId: moved,
    planFingerprint: '',
    destinationOrganizationId: bob.organization.id,
    etag: '',
    requestId: 'move',
  });
  await moveMore(ada, bob);
  await api.projects.deleteProject({ projectId: deleted, etag: '', requestId: 'delete' });
  const restored = await newProject(api, organizationId, 'Restored');
  await api.projects.deleteProject({ projectId: restored, etag: '', requestId: 'delete another' });
  await api.projects.undeleteProject({ projectId: restored, requestId: 'undelete' });
  const regenerate = { projectId: kept, expectedFingerprint: '', requestId: 'regenerate' };
  await api.projectTokens.regenerateProjectToken(regenerate);
  const keyId = await changeKeys(api);
  const deletedOrganizationId = await endOrganization(api);
  return { ada, bob, projectIds: [moved, kept], keyId, deletedOrganizationId };
}

/** Moves a batch there and back, and one that is finalized. */
async function moveMore({ api, organization }: SignedUp, bob: SignedUp): Promise<void> {
  const sourceOrganizationId = organization.id;
  const projectIds = [
    await newProject(api, sourceOrganizationId, 'One of a batch'),
    await newProject(api, sourceOrganizationId, 'Another of the batch'),
  ];
  const destinationOrganizationId = bob.organization.id;
  const ends = { sourceOrganizationId, destinationOrganizationId };
  const batch = { ...ends, projectIds, planFingerprint: '' };
  const undone = await api.projects.batchMoveProjects({ ...batch, requestId: 'batch' });
  await api.projects.undoMove({ moveId: undone.move?.id ?? '', requestId: 'undo' });
  const final = await api.projects.batchMoveProjects({ ...batch, requestId: 'again' });
  await bob.api.projects.finalizeMove({ moveId: final.move?.id ?? '', requestId: 'finalize' });
}

async function changeMembers(ada: SignedUp, bob: SignedUp): Promise<void> {
  const { id: organizationId } = ada.organization;
  const membership = { organizationId, accountId: bob.account.id };
  await ada.api.organizations.updateMember({
    member: {
      ...membership,
      ...{ email: '', displayName: '', level: Level.LEVEL_MEMBER, joinTime: undefined, etag: '' },
    },
    updateMask: undefined,
    requestId: '',
  });
  await ada.api.organizations.removeMember({ ...membership, etag: '', requestId: '' });
  await join(ada, bob, Level.LEVEL_OWNER);
  await ada.api.organizations.inviteMember({
    organizationId,
    email: 'nobody@example.com',
    level: Level.LEVEL_MEMBER,
    requestId: randomUUID(),
  });
}

/** Creates a project and returns its id. */
export async function newProject(
  api: PublicApi,
  organizationId: string,
  name: string,
): Promise<string> {
  const request = { organizationId, name, settings: undefined, requestId: randomUUID() };
  const { project } = await untilAnswered(() => api.projects.createProject(request));
  return project?.id ?? '';
}

async function changeKeys(api: PublicApi): Promise<string> {
  const { apiKey: kept } = await createKey(api, { scopes: ['project:read'] });
  const { apiKey: gone } = await createKey(api, { scopes: ['project:read'] });
  const roll = { keyId: kept.id, overlap: undefined, etag: '', requestId: randomUUID() };
  await api.apiKeys.rollApiKey(roll);
  await api.apiKeys.disableApiKey({ keyId: kept.id, etag: '', requestId: '' });
  await api.apiKeys.deleteApiKey({ keyId: gone.id, etag: '', requestId: '' });
  return kept.id;
}

async function endOrganization(api: PublicApi): Promise<string> {
  const made = await api.organizations.createOrganization({ name: 'Short', requestId: '' });
  const organizationId = made.organization?.id ?? '';
  await api.projects.deleteProject({ projectId: made.projectId, etag: '', requestId: '' });
  await api.organizations.deleteOrganization({
    organizationId,
    etag: '',
    requestId: '',
    endDeletedProjects: true,
  });
  return organizationId;
}
