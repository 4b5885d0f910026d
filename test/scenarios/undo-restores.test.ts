import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Account } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { createKey, join } from '../authorization/world.ts';
import type { SignedUp } from '../harness/clients.ts';
import { outcomes } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import { moveBatch, mover, undoMove } from './move-support.ts';
import { choosePlan, moveProject, present, scenarios } from './support.ts';

const test = scenarios();
const { LEVEL_ADMIN, LEVEL_MEMBER } = Level;

/** Every collection with access, or with a choice of a user. */
const factual: Record<string, string[]> = {
  org: ['accounts', 'organizations', 'memberships', 'invites'],
  project: ['projects', 'slots'],
  token: ['projects', 'project_tokens', 'api_keys', 'key_secrets', 'accounts'],
  billing: ['subscriptions'],
};

/** Fields that count changes or hold times, and are not facts about access. */
const counters: Record<string, string[]> = {
  'project.projects': ['revision', 'updateTime', 'moveId'],
  'project.slots': ['revision'],
  'token.api_keys': ['lastUseTime'],
};

/** All facts as they are stored, in comparable lists. */
async function dump({ mongo, databasePrefix }: TestSilo): Promise<Record<string, unknown[]>> {
  const dumped: Record<string, unknown[]> = {};
  for (const [service, collections] of Object.entries(factual)) {
    for (const name of collections) {
      const collection = mongo.db(`${databasePrefix}_${service}`).collection(name);
      const documents = await collection.find().sort({ _id: 1 }).toArray();
      const passedOver = counters[`${service}.${name}`] ?? [];
      dumped[`${service}.${name}`] = documents.map((document) =>
        Object.fromEntries(
          Object.entries(document)
            .filter(([field]) => !passedOver.includes(field))
            .sort(([a], [b]) => (a < b ? -1 : 1)),
        ),
      );
    }
  }
  return dumped;
}

/** Accounts with every kind of membership in two organizations, and every kind of key. */
async function crowd(silo: TestSilo) {
  const ada = await mover(silo, { projects: 3, name: 'Ada' });
  const bob = await silo.signUp('Bob');
  await choosePlan(bob.api, bob.organization.id, Plan.PLAN_SCALE);
  await join(bob, ada, LEVEL_MEMBER);
  const [stays, follows] = [await silo.signUp('Stays'), await silo.signUp('Follows')];
  await join(ada, stays, LEVEL_ADMIN);
  await join(ada, follows, LEVEL_MEMBER);
  await join(bob, follows, LEVEL_ADMIN);
  const people = [ada, bob, stays, follows];
  const { sourceId, projectIds, movingId } = ada;
  const destinationId = bob.organization.id;
  const keys: string[] = [];
  for (const person of people) {
    for (const restriction of [
      {},
      { organizationIds: [sourceId] },
      { organizationIds: [destinationId] },
      { projectIds: projectIds.slice(0, 2) },
    ]) {
      keys.push((await createKey(person.api, { scopes: ['*'], ...restriction })).secret);
    }
  }
  for (const person of [ada, stays, follows]) await workIn(person, movingId);
  return { ada, bob, people, keys, from: sourceId, to: destinationId, projectIds };
}

function workIn({ api }: SignedUp, currentProjectId: string) {
  return api.accounts.updateAccount({
    account: Account.fromPartial({ currentProjectId }),
    updateMask: ['current_project_id'],
    requestId: '',
  });
}

/** Which key reaches which project, found by trying. */
async function reached(silo: TestSilo, keys: string[], projectIds: string[]): Promise<string[]> {
  const ends: string[] = [];
  for (const key of keys) {
    const { projects } = silo.as(key);
    ends.push(
      ...(await outcomes(projectIds.map((projectId) => projects.getProject({ projectId })))),
    );
  }
  return ends;
}

test('an undo of a batch restores owner, access, key restrictions, choices and slots exactly', async (t) => {
  const { silo } = t.context;
  const { ada, keys, from, to, projectIds } = await crowd(silo);
  const access = () => reached(silo, keys, projectIds);
  const [factsBefore, accessBefore] = [await dump(silo), await access()];
  const { id } = await moveBatch(ada.api, { from, to, projectIds });
  t.notDeepEqual(await dump(silo), factsBefore);
  t.notDeepEqual(await access(), accessBefore);
  await undoMove(ada.api, id);
  t.deepEqual(await access(), accessBefore);
  t.deepEqual(await dump(silo), factsBefore);
});

test('an undo by another account, of one project whose settings have changed since, restores the same', async (t) => {
  const { silo } = t.context;
  const { ada, bob, keys, to, projectIds } = await crowd(silo);
  await join(ada, bob, LEVEL_MEMBER);
  const [projectId = ''] = projectIds;
  const access = () => reached(silo, keys, [projectId]);
  const [factsBefore, accessBefore] = [await dump(silo), await access()];
  const { move, project } = await moveProject(ada.api, projectId, to);
  const change = async (name: string) =>
    bob.api.projects.updateProject({
      project: { ...present(project), name, etag: '' },
      updateMask: ['name'],
      requestId: '',
    });
  await change('Renamed there');
  await undoMove(bob.api, present(move).id);
  const { project: back } = await ada.api.projects.getProject({ projectId });
  t.is(back?.name, 'Renamed there', 'changes made there are kept');
  t.deepEqual(await access(), accessBefore);
  await ada.api.projects.updateProject({
    project: { ...present(back), name: present(project).name, etag: '' },
    updateMask: ['name'],
    requestId: '',
  });
  t.deepEqual(await dump(silo), factsBefore);
});
