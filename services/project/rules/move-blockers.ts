import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import type { SlotsDocument } from '../store/documents.ts';
import { type Creator, levelToCreate } from './level-to-create.ts';
import { type MoveFacts, violatedMoveRules } from './move.ts';
import { refuseUnusable } from './slots.ts';

/**
 * All errors that prevent a move to an organization that the caller is a member of, in the order in
 * which MoveProject checks them.
 */
export function moveBlockers(
  facts: Pick<MoveFacts, 'projects' | 'source'> & {
    destinationId: string;
    /** Undefined if the slots are not open yet. */
    destination: SlotsDocument | undefined;
    caller: Creator;
  },
): SiloError[] {
  const { projects, source, destinationId, destination, caller } = facts;
  const blockers: SiloError[] = [];
  const needed = levelToCreate(caller);
  if (caller.level < needed) blockers.push(errors.adminRequired(needed));
  if (destination !== undefined && !destination.closed) {
    return [...blockers, ...violatedMoveRules({ projects, source, destination, kept: 1 })];
  }
  const unusable = refuseUnusable(destinationId, destination);
  return unusable === undefined ? blockers : [...blockers, unusable];
}
