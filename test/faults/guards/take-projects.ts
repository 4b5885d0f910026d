import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { PublicApi } from '../../harness/clients.ts';
import { readsProject, twoPeople, upgrade } from './people.ts';
import { type Person, patience, type Worker } from './worker.ts';

/**
 * Moves a project back and forth between two organizations, each with a member that is not in the
 * other.
 */
export async function* moveProject(worker: Worker): AsyncGenerator<void> {
  const what = 'a project, MoveProject';
  const { boss, other, organizationId, join } = await twoPeople(worker, Level.LEVEL_MEMBER);
  await join();
  const made = await worker.do(boss.apiKey, (api, requestId) =>
    api.organizations.createOrganization({ name: 'There', requestId }, patience),
  );
  const thereId = made.answer.organization?.id ?? '';
  for (const each of [organizationId, thereId]) await upgrade(worker, boss, each);
  const created = await worker.do(boss.apiKey, (api, requestId) =>
    api.projects.createProject(
      { organizationId, name: 'Moved', settings: undefined, requestId },
      patience,
    ),
  );
  const projectId = created.answer.project?.id ?? '';
  const read = await worker.do(boss.apiKey, (api) =>
    api.projectTokens.getProjectToken({ projectId }, patience),
  );
  const token = read.answer.projectToken?.token ?? '';
  const writesHere = { kind: 'token', token, organizationId } as const;
  const writesThere = { kind: 'token', token, organizationId: thereId } as const;
  const here = worker.give(what, writesHere, created.sentMs);
  const seen = worker.give(what, readsProject(other.apiKey, projectId), created.sentMs);
  let there: number | undefined;
  for (let turn = 0; ; turn++) {
    const isBatch = turn % 2 === 1;
    const away = await (isBatch
      ? worker.take('BatchMoveProjects', [here, seen], boss.apiKey, (api, requestId) =>
          api.projects.batchMoveProjects(
            {
              ...{ sourceOrganizationId: organizationId, projectIds: [projectId] },
              ...{ destinationOrganizationId: thereId, planFingerprint: '', requestId },
            },
            patience,
          ),
        )
      : worker.take('MoveProject', [here, seen], boss.apiKey, move(projectId, thereId)));
    if (there === undefined) there = worker.give(what, writesThere, away.sentMs);
    else worker.giveAgain(there, what, away.sentMs);
    yield;
    const moveId = away.answer.move?.id ?? '';
    const back = await (isBatch
      ? worker.take('MoveProject', [there], boss.apiKey, move(projectId, organizationId))
      : worker.take('UndoMove', [there], boss.apiKey, (api, requestId) =>
          api.projects.undoMove({ moveId, requestId }, patience),
        ));
    for (const id of [here, seen]) worker.giveAgain(id, what, back.sentMs);
    yield;
  }
}

function move(projectId: string, destinationOrganizationId: string) {
  return (api: PublicApi, requestId: string) =>
    api.projects.moveProject(
      { projectId, destinationOrganizationId, planFingerprint: '', etag: '', requestId },
      patience,
    );
}

export async function* deleteProject(worker: Worker): AsyncGenerator<void> {
  const person = await worker.signUp('Delos');
  const { organizationId } = person;
  await upgrade(worker, person, organizationId);
  for (;;) {
    const created = await worker.do(person.apiKey, (api, requestId) =>
      api.projects.createProject(
        { organizationId, name: 'Deleted', settings: undefined, requestId },
        patience,
      ),
    );
    const projectId = created.answer.project?.id ?? '';
    const { answer } = await worker.do(person.apiKey, (api) =>
      api.projectTokens.getProjectToken({ projectId }, patience),
    );
    const token = answer.projectToken?.token ?? '';
    const what = 'a project, DeleteProject';
    const ids = [
      worker.give(what, { kind: 'token', token, organizationId }, created.sentMs),
      worker.give(what, readsProject(person.apiKey, projectId), created.sentMs),
    ];
    await takeProject(worker, person, projectId, ids);
    yield;
  }
}

export async function* deleteOrganization(worker: Worker): AsyncGenerator<void> {
  const person = await worker.signUp('Dora');
  for (;;) {
    const created = await worker.do(person.apiKey, (api, requestId) =>
      api.organizations.createOrganization({ name: 'Short', requestId }, patience),
    );
    const { organization, projectId, projectToken } = created.answer;
    const organizationId = organization?.id ?? '';
    const token = { kind: 'token', token: projectToken, organizationId } as const;
    const project = worker.give('a project, DeleteProject', token, created.sentMs);
    const access = {
      ...({ kind: 'key', key: person.apiKey } as const),
      ...{ scope: 'organization:read', organizationId },
    };
    const held = worker.give('an organization, DeleteOrganization', access, created.sentMs);
    await takeProject(worker, person, projectId, [project]);
    yield;
    await worker.take('DeleteOrganization', [held], person.apiKey, (api, requestId) =>
      api.organizations.deleteOrganization(
        { organizationId, etag: '', requestId, endDeletedProjects: true },
        patience,
      ),
    );
    yield;
  }
}

async function takeProject(
  worker: Worker,
  { apiKey }: Person,
  projectId: string,
  ids: number[],
): Promise<void> {
  await worker.take('DeleteProject', ids, apiKey, (api, requestId) =>
    api.projects.deleteProject({ projectId, etag: '', requestId }, patience),
  );
}
