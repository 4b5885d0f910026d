import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { ProjectDocument } from '../store/documents.ts';
import { foldedName } from './folded-name.ts';

/**
 * A project of another region as stored here before its activation. Its moves stay behind. Its
 * revision is larger than all that either region has used, because it orders the project's events
 * in both.
 */
export function arrivedProject(
  given: ProjectDocument,
  { organizationId, migrationId: cameBy, displaced, now }: Arrival,
): ProjectDocument {
  const { _id, name, settings, propertyIndexes, createTime, eventGeneration } = given;
  return {
    ...{ _id, organizationId, name, settings, createTime, cameBy },
    ...foldedName(name),
    ...(propertyIndexes && { propertyIndexes }),
    ...(eventGeneration !== undefined && { eventGeneration }),
    state: ProjectState.PROJECT_STATE_MIGRATING,
    revision: Math.max(given.revision, displaced?.revision ?? 0) + 1,
    updateTime: now,
  };
}

type Arrival = {
  organizationId: string;
  migrationId: string;
  /** The document of an earlier stay in this region. */
  displaced: ProjectDocument | undefined;
  now: Date;
};

/** The document of an earlier stay, restored because the project does not come. */
export function restoredProject(
  displaced: ProjectDocument,
  arrived: Pick<ProjectDocument, 'revision'>,
  now: Date,
): ProjectDocument {
  return { ...displaced, revision: arrived.revision + 1, updateTime: now };
}
