import type { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { MigrationSide } from './migration-states.ts';

/**
 * This region's side of an open migration of the project, and the region from which the project
 * comes.
 */
type OpenMigration = { side: MigrationSide; sourceRegion: string };

/**
 * The region of a project according to the records of one region; undefined if they do not show it.
 * A deleted project is where it was deleted. During a cutover the project is still at the source.
 */
export function regionOfProject(
  own: string,
  project: Pick<ProjectFact, 'state' | 'migratedTo'> | undefined,
  migration: OpenMigration | undefined,
): string | undefined {
  switch (project?.state) {
    case ProjectState.PROJECT_STATE_ACTIVE:
    case ProjectState.PROJECT_STATE_DELETED:
      return own;
    case ProjectState.PROJECT_STATE_MIGRATING:
      return migration?.side === 'destination' ? migration.sourceRegion : own;
    case ProjectState.PROJECT_STATE_MIGRATED:
      return project.migratedTo?.region;
    default:
      return undefined;
  }
}
