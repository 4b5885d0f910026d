import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { comparable } from './email.ts';

/** How long an invite's code works. */
export const inviteLifetimeMs = 7 * 24 * 60 * 60 * 1000;

/** How many invites of one organization may be open. */
export const openInvitesMax = 1_000;

/** Refuses with RESOURCE_LIMIT where one more invite would be too many. */
export function checkInviteLimit(openCount: number): void {
  if (openCount >= openInvitesMax) throw errors.resourceLimit('invites', openInvitesMax);
}

/**
 * Whether a code that was found may be used: not expired, by whom it was meant for, while who
 * invited could still grant the level. Refuses all alike, with INVITE_NOT_FOUND.
 */
export function checkAcceptable(
  invite: { email: string; level: Level; expireTime: Date },
  facts: { email: string; inviterLevel: Level | undefined; now: Date },
): void {
  const { inviterLevel = Level.LEVEL_UNSPECIFIED, email, now } = facts;
  const isMeant = comparable(invite.email) === comparable(email);
  const mayStillGrant = inviterLevel >= Level.LEVEL_ADMIN && inviterLevel >= invite.level;
  // The code is a secret: the refusal echoes nothing.
  if (!isMeant || !mayStillGrant || invite.expireTime <= now) throw errors.inviteNotFound('');
}
