import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { ProjectDocument } from '../store/documents.ts';

const { PROJECT_STATE_ACTIVE: active, PROJECT_STATE_DELETED: deleted } = ProjectState;

/** Why the project of an offer cannot migrate any more, for people; undefined if it can. */
export function whyGone(
  { sourceOrganizationId }: { sourceOrganizationId: string },
  project: ProjectDocument | undefined,
): string | undefined {
  if (project === undefined || project.state === deleted) return 'The project was deleted.';
  const isSame = project.organizationId === sourceOrganizationId && project.state === active;
  return isSame ? undefined : 'The project was moved to another organization.';
}
