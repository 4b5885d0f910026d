import { type Restrictions, reachesOrganization } from '@silo/access/reach.ts';
import { combine } from '@silo/errors/combine.ts';
import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { regionOf } from '@silo/tokens/ids.ts';
import type { ProjectDocument, SlotsDocument } from '../store/documents.ts';
import { hasRoom, limitReached } from './slots.ts';

/**
 * Refuses with CROSS_REGION a destination in another region than the source, from the ids alone.
 */
export function requireSameRegion(sourceId: string, destinationId: string): void {
  const region = regionOf(destinationId);
  // The pattern of the request field also matches invalid ids: these do not exist.
  if (region === undefined) throw errors.organizationNotFound(destinationId);
  const own = regionOf(sourceId);
  if (own === undefined) throw new TypeError(`${sourceId} has no region`);
  if (region !== own) throw errors.crossRegion({ from: own, to: region });
}

/**
 * Refuses with KEY_RESTRICTED a key whose restriction names the project but not its organization: a
 * move changes what the organization owns. The destination is checked separately, like any
 * organization.
 */
export function requireReachesSource(key: Restrictions, sourceId: string): void {
  if (!reachesOrganization(key, sourceId)) throw errors.keyRestricted();
}

/** The input of the state rules of a move, from one snapshot. */
export type MoveFacts = {
  /** The projects that move together. */
  projects: readonly Pick<ProjectDocument, '_id' | 'state'>[];
  source: Pick<SlotsDocument, '_id' | 'count'>;
  destination: SlotsDocument;
  /** Minimum number of projects that the source keeps: one, except when a move is undone. */
  kept: number;
};

/** Whether a project in this state holds a slot of its organization. */
function holdsSlot(state: ProjectState): boolean {
  return (
    state === ProjectState.PROJECT_STATE_ACTIVE || state === ProjectState.PROJECT_STATE_MIGRATING
  );
}

/**
 * Number of slots that a move transfers: that of projects with a slot, or 0 if the source is the
 * destination.
 */
export function countMoving({ projects, source, destination }: Omit<MoveFacts, 'kept'>): number {
  if (destination._id === source._id) return 0;
  return projects.filter(({ state }) => holdsSlot(state)).length;
}

/**
 * The state rules that a move violates, in the order of the table in `move-checks.ts`. Rules about
 * counts are checked only if the move would change the counts: not for a move to the source itself,
 * and not for a deleted project, which holds no slot.
 */
export function violatedMoveRules(facts: MoveFacts): SiloError[] {
  const { projects, source, destination, kept } = facts;
  const moving = countMoving(facts);
  const violated: SiloError[] = [];
  if (moving > 0 && source.count - moving < kept) violated.push(errors.lastProject());
  if (destination._id === source._id) violated.push(errors.alreadyThere());
  if (moving > 0 && !hasRoom(destination, moving)) violated.push(limitReached(destination));
  for (const { _id: projectId, state } of projects) {
    if (state === ProjectState.PROJECT_STATE_ACTIVE) continue;
    violated.push(errors.projectNotActive({ projectId, state }));
  }
  return violated;
}

/**
 * Throws the violations of rules: with code and reason of the first, and all of them as details.
 */
export function requireNone(violated: readonly SiloError[]): void {
  if (violated.length > 0) throw combine(violated);
}
