import { combine, errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { regionOf } from '@silo/tokens/ids.ts';
import type { SlotsDocument } from '../store/documents.ts';
import { hasRoom, limitReached } from './slots.ts';

/** Refuses with CROSS_REGION a destination in another region than the source, by the ids alone. */
export function requireSameRegion(sourceId: string, destinationId: string): void {
  const region = regionOf(destinationId);
  // The pattern of the request field is wider than that of ids: what is no id does not exist.
  if (region === undefined) throw errors.organizationNotFound(destinationId);
  if (region !== regionOf(sourceId)) throw errors.crossRegion(region);
}

/** What the state rules of a move are judged by, all as of one instant. */
export type MoveFacts = {
  project: { state: ProjectState };
  source: Pick<SlotsDocument, '_id' | 'count'>;
  destination: SlotsDocument;
};

/**
 * The state rules that a move violates, in the order of the design's table (§6). Rules about
 * counts are judged only where the move would change them: not towards the source itself, and not
 * for a deleted project, which holds no slot.
 */
export function violatedMoveRules({ project, source, destination }: MoveFacts): SiloError[] {
  const staysThere = destination._id === source._id;
  const changesCounts = !staysThere && project.state !== ProjectState.PROJECT_STATE_DELETED;
  const violated: SiloError[] = [];
  if (changesCounts && source.count <= 1) violated.push(errors.lastProject());
  if (staysThere) violated.push(errors.alreadyThere());
  if (changesCounts && !hasRoom(destination, 1)) violated.push(limitReached(destination));
  if (project.state !== ProjectState.PROJECT_STATE_ACTIVE) {
    violated.push(errors.projectNotActive(project.state));
  }
  return violated;
}

/** Refuses a move that violates state rules: with the first one's reason, and all of them told. */
export function requireMoveAllowed(facts: MoveFacts): void {
  const violated = violatedMoveRules(facts);
  if (violated.length > 0) throw combine(violated);
}
