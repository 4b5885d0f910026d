import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type DeleteProjectRequest,
  DeleteProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { checkEtag, revisionOf } from '@silo/tokens/etag.ts';
import { deletedEvent } from '../events.ts';
import { projectMessage } from '../messages.ts';
import { purgeTimeOf } from '../rules/deleted-projects.ts';
import type { Dependencies } from './dependencies.ts';
import { withOwner } from './shared/with-owner.ts';

export async function deleteProject(
  { projectId, etag }: DeleteProjectRequest,
  call: Call,
  {
    projects,
    slots,
    eventLog,
    access,
  }: Pick<Dependencies, 'projects' | 'slots' | 'eventLog' | 'access'>,
): Promise<Outcome<DeleteProjectResponse>> {
  const level = Level.LEVEL_ADMIN;
  const needs = { scope: 'project:write', level };
  return await withOwner({ access, call }, needs, async (organizationId, gone) => {
    return await eventLog.mutate(call, DeleteProjectResponse, async (tx) => {
      const purgeTime = purgeTimeOf(tx.now);
      const expected = { organizationId, revision: revisionOf(etag) };
      const project = await projects.remove(tx, projectId, expected, purgeTime);
      if (project === undefined) {
        const present = await projects.read(tx, organizationId, projectId);
        if (present === undefined) throw gone;
        checkEtag(etag, present.revision);
        throw errors.projectNotActive({ projectId, state: present.state });
      }
      await slots.free(tx, organizationId);
      tx.emit(deletedEvent(project, { actor: call.actor, tx }));
      return {
        response: { project: projectMessage(project) },
        // A retry must work although this request has deleted the project.
        reauthorize: [{ projectId, level, evenGone: true }],
      };
    });
  });
}
