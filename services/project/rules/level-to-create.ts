import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';

/** The organization of a new project, with its facts. */
export type Creator = { level: Level; fact: { membersMayCreateProjects: boolean } };

/** The least level that may create projects, or move them, into an organization. */
export function levelToCreate({ fact }: Pick<Creator, 'fact'>): Level {
  return fact.membersMayCreateProjects ? Level.LEVEL_MEMBER : Level.LEVEL_ADMIN;
}

/** Throws ADMIN_REQUIRED for a caller below that level. */
export function requireMayCreate(creator: Creator): void {
  const level = levelToCreate(creator);
  if (creator.level < level) throw errors.adminRequired(level);
}
