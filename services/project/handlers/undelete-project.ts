import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import {
  type UndeleteProjectRequest,
  UndeleteProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { demand } from '@silo/rpc/check-access.ts';
import { undeletedEvent } from '../events.ts';
import { projectMessage } from '../messages.ts';
import { refuseAddition } from '../rules/slots.ts';
import type { Dependencies } from './dependencies.ts';

type UndeleteProjectDependencies = Pick<Dependencies, 'projects' | 'slots' | 'eventLog' | 'access'>;

export async function undeleteProject(
  { projectId }: UndeleteProjectRequest,
  call: Call,
  { projects, slots, eventLog, access }: UndeleteProjectDependencies,
): Promise<Outcome<UndeleteProjectResponse>> {
  const level = Level.LEVEL_ADMIN;
  // A deleted project still belongs to its organization.
  const needs = { scope: 'project:write', level, projectId, evenGone: true };
  const { organization } = await demand(access, call, needs);
  if (organization === undefined) throw errors.projectNotFound(projectId);
  const { id: organizationId } = organization;
  return await eventLog.mutate(call, UndeleteProjectResponse, async (tx) => {
    const project = await projects.restore(tx, organizationId, projectId);
    if (project === undefined) {
      const present = await projects.read(tx, organizationId, projectId);
      if (present === undefined || present.state === ProjectState.PROJECT_STATE_DELETED) {
        throw errors.projectNotFound(projectId); // the time to undelete it is over
      }
      throw errors.projectNotDeleted({ projectId, state: present.state });
    }
    if (!(await slots.take(tx, organizationId, 1))) {
      const present = await slots.read(tx, organizationId);
      throw refuseAddition(organizationId, present, 1);
    }
    tx.emit(undeletedEvent(project, { actor: call.actor, tx }));
    return { response: { project: projectMessage(project) } };
  });
}
