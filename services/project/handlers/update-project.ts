import { errors } from '@silo/errors/errors.ts';
import type { Outcome } from '@silo/mongo/mutation.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Project, ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import {
  type UpdateProjectRequest,
  UpdateProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import { checkEtag } from '@silo/tokens/etag.ts';
import { updatedEvent } from '../events.ts';
import { projectMessage } from '../messages.ts';
import { foldedName } from '../rules/folded-name.ts';
import { chooseIndexes } from '../rules/property-indexes.ts';
import { applyChange, changeOf } from '../rules/update-project.ts';
import type { ProjectDocument, StoredSettings } from '../store/documents.ts';
import type { Dependencies } from './dependencies.ts';
import { withOwner } from './shared/with-owner.ts';

export async function updateProject(
  request: UpdateProjectRequest,
  call: Call,
  { projects, eventLog, access }: Pick<Dependencies, 'projects' | 'eventLog' | 'access'>,
): Promise<Outcome<UpdateProjectResponse>> {
  const wanted = Project.fromPartial(request.project ?? {});
  const change = changeOf(wanted, request.updateMask);
  const level = Level.LEVEL_ADMIN;
  const needs = { scope: 'project:write', level };
  return await withOwner({ access, call }, needs, async (organizationId, gone) => {
    return await eventLog.mutate(call, UpdateProjectResponse, async (tx) => {
      const before = await projects.read(tx, organizationId, wanted.id);
      if (before === undefined) throw gone;
      checkEtag(wanted.etag, before.revision);
      if (before.state !== ProjectState.PROJECT_STATE_ACTIVE) {
        throw errors.projectNotActive({ projectId: wanted.id, state: before.state });
      }
      const { name, settings, changes } = applyChange(before, change);
      if (changes.length === 0) {
        return { response: { project: projectMessage(before) } };
      }
      const expected = { organizationId, revision: before.revision };
      const values = { name, ...foldedName(name), settings, ...indexesAfter(before, settings) };
      const after = await projects.change(tx, wanted.id, expected, values);
      if (after === undefined) throw gone;
      tx.emit(updatedEvent(after, changes, { actor: call.actor, tx }));
      return { response: { project: projectMessage(after) } };
    });
  });
}

/** The indexes that the settings require; undefined if no properties are, or were, chosen. */
function indexesAfter(
  { propertyIndexes = [], revision }: ProjectDocument,
  { indexedProperties = [] }: StoredSettings,
): Pick<ProjectDocument, 'propertyIndexes'> {
  if (propertyIndexes.length + indexedProperties.length === 0) return {};
  return { propertyIndexes: chooseIndexes(propertyIndexes, indexedProperties, revision + 1) };
}
