import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import {
  type UndeleteProjectRequest,
  UndeleteProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Handler } from '@silo/rpc/call.ts';
import { refuseAddition } from '../rules/slots.ts';
import { authorize } from './authorize.ts';
import type { Dependencies } from './dependencies.ts';
import { undeletedEvent } from './events.ts';
import { projectMessage } from './messages.ts';

type Uses = Pick<Dependencies, 'projects' | 'slots' | 'eventLog' | 'access'>;

export const createUndeleteProject =
  ({
    projects,
    slots,
    eventLog,
    access,
  }: Uses): Handler<UndeleteProjectRequest, UndeleteProjectResponse> =>
  async ({ projectId }, call) => {
    const level = Level.LEVEL_ADMIN;
    const fact = await projects.fact(projectId, call.signal);
    if (fact === undefined) throw errors.projectNotFound(projectId);
    const { organizationId } = fact;
    // Not by the project alone: a deleted one grants nothing.
    await authorize(access, call, { scope: 'project:write', level, organizationId, projectId });
    const { response } = await eventLog.mutate(call, UndeleteProjectResponse, async (tx) => {
      const project = await projects.restore(tx, organizationId, projectId);
      if (project === undefined) {
        const present = await projects.read(tx, organizationId, projectId);
        if (present === undefined || present.state === ProjectState.PROJECT_STATE_DELETED) {
          throw errors.projectNotFound(projectId); // its time is over
        }
        throw errors.projectNotDeleted({ projectId, state: present.state });
      }
      if (!(await slots.take(tx, organizationId, 1))) {
        const present = await slots.read(tx, organizationId);
        throw refuseAddition(organizationId, present, 1);
      }
      tx.emit(undeletedEvent(project, { actor: call.actor, tx }));
      return {
        response: { project: projectMessage(project) },
        reauthorize: [{ organizationId, projectId, level }],
      };
    });
    return response;
  };
