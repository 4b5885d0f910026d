import { isKnownLevel } from '@silo/access/levels.ts';
import { errors } from '@silo/errors/errors.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { comparable } from './email.ts';

/** Time until an invite's code expires. */
export const inviteLifetimeMs = 7 * 24 * 60 * 60 * 1000;

/** Limit of an organization's open invites. */
const openInvitesMax = 1_000;

/** Limit of the invites that one transaction of a change of e-mail deletes. */
export const emailInvitesMax = 500;

/** Returns the highest level to which a member of this level may invite; unspecified: to none. */
export function grantableMax(level: Level | undefined): Level {
  return isKnownLevel(level) && level >= Level.LEVEL_ADMIN ? level : Level.LEVEL_UNSPECIFIED;
}

/** Refuses with RESOURCE_LIMIT if one more invite would exceed the limit. */
export function checkInviteLimit(openCount: number): void {
  if (openCount >= openInvitesMax) throw errors.resourceLimit('invites', openInvitesMax);
}

/**
 * Checks that a code may be used: it has not expired, the caller is the invited account, and the
 * inviter could still grant the level. All refusals are INVITE_NOT_FOUND, so that they look the
 * same.
 */
export function checkAcceptable(
  invite: { email: string; level: Level; expireTime: Date },
  facts: { email: string; inviterLevel: Level | undefined; now: Date },
): void {
  const { inviterLevel, email, now } = facts;
  const isMeant = comparable(invite.email) === comparable(email);
  const mayStillGrant = invite.level <= grantableMax(inviterLevel);
  // The code is a secret, so the refusal does not contain it.
  if (!isMeant || !mayStillGrant || invite.expireTime <= now) throw errors.inviteCodeInvalid();
}
