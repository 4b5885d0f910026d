import { errors } from '@silo/errors/errors.ts';
import { regionOf } from '@silo/tokens/ids.ts';
import type { SlotsDocument } from '../store/documents.ts';
import { hasMigrations, refuseAddition, refuseUnusable } from './slots.ts';

/** Data that does not migrate with a project, for people. */
export const leftBehind: readonly string[] = [
  'The activity log: each region keeps its own part.',
  'Usage by day, and the report of dead tokens: earlier data stays with the source.',
  'Receipts of deleted events. The events stay deleted.',
  'Earlier moves: they cannot be undone after the migration.',
  'Members, invites and API keys: accounts belong to a region.',
];

/** Approximate number of copied events per second; estimates are conservative. */
const eventsPerSecond = 5_000;

/** The estimated duration of a copy. */
export function copySeconds(events: number): number {
  return Math.ceil(events / eventsPerSecond);
}

/**
 * Refuses with CROSS_REGION unless the destination is another known region, and with
 * ORGANIZATION_NOT_FOUND if the organization is not in it.
 */
export function requireDestination(
  { region, known }: { region: string; known: Iterable<string> },
  to: { destinationRegion: string; destinationOrganizationId: string },
): void {
  const { destinationRegion, destinationOrganizationId } = to;
  const isOther = destinationRegion !== region && [...known].includes(destinationRegion);
  if (!isOther) throw errors.noMigrationTo(destinationRegion);
  if (regionOf(destinationOrganizationId) !== destinationRegion) {
    throw errors.organizationNotFound(destinationOrganizationId);
  }
}

/**
 * Returns the slots of an organization whose plan allows migrations. Refuses with PLAN_REQUIRED.
 */
export function requireMigrations(
  organizationId: string,
  slots: SlotsDocument | undefined,
): SlotsDocument {
  if (slots === undefined || slots.closed) throw refuseUnusable(organizationId, slots);
  if (hasMigrations(slots)) return slots;
  throw errors.planRequired({ organizationId, feature: 'migrations' });
}

/** Refuses with PLAN_REQUIRED or PROJECT_LIMIT if the organization cannot take one more project. */
export function requireRoom(organizationId: string, slots: SlotsDocument | undefined): void {
  requireMigrations(organizationId, slots);
  requireRoomFor(organizationId, slots);
}

/** Like `requireRoom`, but on any plan: for a rollback by staff. */
export function requireRoomFor(organizationId: string, slots: SlotsDocument | undefined): void {
  const refusal = refuseAddition(organizationId, slots, 1);
  if (refusal !== undefined) throw refusal;
}
