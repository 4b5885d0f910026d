import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

/** The organization of a new project, with its facts. */
export type Creator = { level: Level; fact: { membersMayCreateProjects: boolean } };

/** The minimum level for creating projects in an organization, or moving projects into it. */
export function levelToCreate({ fact }: Pick<Creator, 'fact'>): Level {
  return fact.membersMayCreateProjects ? Level.LEVEL_MEMBER : Level.LEVEL_ADMIN;
}

/** Throws ADMIN_REQUIRED for a caller below that level. */
export function requireMayCreate(creator: Creator): void {
  const level = levelToCreate(creator);
  if (creator.level < level) throw errors.adminRequired(level);
}
