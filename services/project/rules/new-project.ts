import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { ProjectDocument, StoredSettings } from '../store/documents.ts';
import { foldName } from './names.ts';

/** What a project begins as. */
export type NewProject = { name: string; settings: StoredSettings };

/** A new project as it is stored. */
export function newProject(
  { name, settings }: NewProject,
  { id, organizationId, now }: { id: string; organizationId: string; now: Date },
): ProjectDocument {
  return {
    _id: id,
    organizationId,
    name,
    searchName: foldName(name),
    settings,
    state: ProjectState.PROJECT_STATE_ACTIVE,
    revision: 1,
    createTime: now,
    updateTime: now,
  };
}
