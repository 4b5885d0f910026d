import { isKnownLevel } from '@silo/access/levels.ts';
import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { comparable } from './email.ts';

/** How long an invite's code works. */
export const inviteLifetimeMs = 7 * 24 * 60 * 60 * 1000;

/** How many invites of one organization may be open. */
const openInvitesMax = 1_000;

/** How many invites one transaction of a change of e-mail deletes. */
export const emailInvitesMax = 500;

/** The highest level that a member of this level may invite to; unspecified: none. */
export function grantableMax(level: Level | undefined): Level {
  return isKnownLevel(level) && level >= Level.LEVEL_ADMIN ? level : Level.LEVEL_UNSPECIFIED;
}

/** Refuses with RESOURCE_LIMIT where one more invite would be too many. */
export function checkInviteLimit(openCount: number): void {
  if (openCount >= openInvitesMax) throw errors.resourceLimit('invites', openInvitesMax);
}

/**
 * Whether a code may be used: not expired, by the invited account, and while the inviter could
 * still grant the level. Refuses all alike, with INVITE_NOT_FOUND.
 */
export function checkAcceptable(
  invite: { email: string; level: Level; expireTime: Date },
  facts: { email: string; inviterLevel: Level | undefined; now: Date },
): void {
  const { inviterLevel, email, now } = facts;
  const isMeant = comparable(invite.email) === comparable(email);
  const mayStillGrant = invite.level <= grantableMax(inviterLevel);
  // The code is a secret: the refusal echoes nothing.
  if (!isMeant || !mayStillGrant || invite.expireTime <= now) throw errors.inviteCodeInvalid();
}
