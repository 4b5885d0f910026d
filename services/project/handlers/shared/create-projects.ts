import type { Transaction } from '@silo/log/event-log.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { CreateProjectResponse } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { type Call, targetOrganization } from '@silo/rpc/call.ts';
import { beginOrJoin, sagaOf } from '@silo/saga/begin-or-join.ts';
import { newId } from '@silo/tokens/ids.ts';
import { ulid } from 'ulid';
import { createdEvent } from '../../events.ts';
import { projectMessage } from '../../messages.ts';
import { levelToCreate } from '../../rules/level-to-create.ts';
import { type NewProject, newProject } from '../../rules/new-project.ts';
import { refuseAddition } from '../../rules/slots.ts';
import type { Dependencies } from '../dependencies.ts';
import { authorizeCreation } from './authorize-creation.ts';

type CreateProjectsDependencies = Pick<
  Dependencies,
  'projects' | 'slots' | 'eventLog' | 'access' | 'sagas' | 'createProjects'
>;

/**
 * Creates the projects that `choose` returns in the target organization, all or none, and runs the
 * saga that creates their tokens. A repeated request returns the first result. Refuses with
 * ADMIN_REQUIRED, PROJECT_LIMIT, NOT_READY, ORGANIZATION_NOT_FOUND.
 */
export async function createProjectsBySaga(
  dependencies: CreateProjectsDependencies,
  call: Call,
  choose: (tx: Transaction) => Promise<NewProject[]>,
): Promise<CreateProjectResponse[]> {
  const { sagas, createProjects } = dependencies;
  const sagaId = await beginOrJoin(call.repeat, () => decide(dependencies, call, choose), sagaOf);
  const { data } = await sagas.finish(createProjects, sagaId, call.signal);
  return data.projects.map((project) => ({
    project: projectMessage(project),
    projectToken: data.tokens[project._id] ?? '',
  }));
}

/** The deciding transaction. Returns the id of its saga. */
async function decide(
  { projects, slots, eventLog, access, sagas, createProjects }: CreateProjectsDependencies,
  call: Call,
  choose: (tx: Transaction) => Promise<NewProject[]>,
): Promise<string> {
  const { actor } = call;
  const known = targetOrganization(call);
  const organizationId = known.id;
  const isAllowed = known.level >= levelToCreate(known);
  if (!isAllowed) await authorizeCreation(access, call, organizationId);
  const sagaId = ulid().toLowerCase();
  await eventLog.decide(call, async (tx) => {
    const chosen = await choose(tx);
    const { now } = tx;
    const created = chosen.map((each) =>
      newProject(each, { id: newId('prj', { now }), organizationId, now }),
    );
    if (!(await slots.take(tx, organizationId, created.length))) {
      const present = await slots.read(tx, organizationId);
      throw refuseAddition(organizationId, present, created.length);
    }
    await projects.insert(tx, created);
    for (const project of created) tx.emit(createdEvent(project, { actor, tx }));
    const data = { projects: created, tokens: {} };
    await sagas.begin(tx, createProjects, { id: sagaId, data, actor });
    // The response contains the projects' tokens, which their members may see wherever the projects
    // are now.
    const wherever = { level: Level.LEVEL_MEMBER, evenGone: true };
    const alsoDemands = [
      { organizationId, createsProjects: true },
      ...created.map(({ _id: projectId }) => ({ projectId, ...wherever })),
    ];
    tx.remember({ sagaId, alsoDemands });
  });
  return sagaId;
}
