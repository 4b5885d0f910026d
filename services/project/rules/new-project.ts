import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { ProjectDocument, StoredSettings } from '../store/documents.ts';
import { foldedName } from './folded-name.ts';
import { chooseIndexes } from './property-indexes.ts';

/** The initial values of a project. */
export type NewProject = { name: string; settings: StoredSettings };

/** A new project as stored. */
export function newProject(
  { name, settings }: NewProject,
  { id, organizationId, now }: { id: string; organizationId: string; now: Date },
): ProjectDocument {
  const chosen = settings.indexedProperties ?? [];
  return {
    _id: id,
    organizationId,
    name,
    ...foldedName(name),
    settings,
    ...(chosen.length > 0 && { propertyIndexes: chooseIndexes([], chosen, 1) }),
    state: ProjectState.PROJECT_STATE_ACTIVE,
    revision: 1,
    createTime: now,
    updateTime: now,
  };
}
