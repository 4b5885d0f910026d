import type { ProjectFact } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { MigrationSide } from './migration-states.ts';

/** The end of an open migration of the project that this region is, and where the project comes from. */
type OpenMigration = { side: MigrationSide; sourceRegion: string };

/**
 * In which region a project is, by the records of one region; undefined: they do not say. A deleted
 * project is where it was deleted. While it is cut over, it is still where it comes from.
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
