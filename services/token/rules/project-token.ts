import { errors } from '@silo/errors/errors.ts';
import { type Occasion, tokenCreated, tokenRevoked } from '../events.ts';
import type { ProjectDocument } from '../store/documents.ts';

/** A newly generated token with its hash and fingerprint. */
export type FreshToken = { hash: Buffer; token: string; fingerprint: string };

/**
 * Limit of the finished migrations that are remembered for a project. It never has nearly as many
 * in progress at once.
 */
const overMax = 10;

/** The change of a project's token with its events. */
export type TokenChange = {
  after: ProjectDocument;
  events: { event: string; subject: string; body: unknown }[];
};

/** Creates the first token of a project. */
export function firstToken(projectId: string, fresh: FreshToken, occasion: Occasion): TokenChange {
  return {
    after: { _id: projectId, current: { ...fresh, createTime: occasion.now }, revision: 1 },
    events: [tokenCreated({ projectId, fingerprint: fresh.fingerprint, revision: 1 }, occasion)],
  };
}

/**
 * Replaces the present token. Refuses with NOT_READY if there is none yet, and with
 * FINGERPRINT_MISMATCH if it is not the one that the caller expects ('' expects any).
 */
export function replaceToken(
  project: ProjectDocument | undefined,
  fresh: FreshToken,
  { organizationId, expectedFingerprint }: { organizationId: string; expectedFingerprint: string },
  occasion: Occasion,
): TokenChange {
  const { _id: projectId, current, revision, ...kept } = presentToken(project);
  if (expectedFingerprint !== '' && expectedFingerprint !== current.fingerprint) {
    throw errors.fingerprintMismatch();
  }
  const newFingerprint = fresh.fingerprint;
  const revoked = {
    ...{ projectId, organizationId, revision: revision + 1 },
    ...{ fingerprint: current.fingerprint, newFingerprint },
  };
  const created = { projectId, fingerprint: newFingerprint, revision: revision + 2 };
  return {
    after: {
      ...kept,
      _id: projectId,
      current: { ...fresh, createTime: occasion.now },
      revision: revision + 2,
    },
    events: [tokenRevoked(revoked, occasion), tokenCreated(created, occasion)],
  };
}

/**
 * Adopts the token that a migration brings from another region, in place of any token here.
 * `revision` is the token's revision there. Returns undefined if this token or a later one was
 * adopted before, or if the migration is over. If the same token is in use here already, only notes
 * the migration: if that is cancelled, its end purges the token.
 */
export function adoptToken(
  projectId: string,
  project: ProjectDocument | undefined,
  brought: { token: FreshToken; revision: number; migrationId: string },
  occasion: Occasion,
): TokenChange | undefined {
  const { token, migrationId } = brought;
  const { current, adopted, isRetired, retiredBy } = project ?? {};
  const isSame = current?.hash.equals(token.hash) ?? false;
  const byMigration = { migrationId, revision: brought.revision };
  if (project?.over?.includes(migrationId)) return undefined;
  const isOther = adopted !== undefined && adopted.migrationId !== migrationId;
  const over = isOther ? withOver(project, adopted.migrationId) : project?.over;
  // If the token has come back, subscribers must receive an event.
  if (project && isSame && !isRetired) {
    if (adopted?.migrationId === migrationId) return undefined;
    return { after: { ...project, adopted: byMigration, ...(over && { over }) }, events: [] };
  }
  // This is a late repeat: the token may have been regenerated here since.
  if (adopted?.migrationId === migrationId && brought.revision <= adopted.revision) {
    return undefined;
  }
  const base = Math.max(project?.revision ?? 0, brought.revision);
  const { fingerprint } = token;
  const events: TokenChange['events'] = [];
  if (current && !isSame) {
    // Before the cutover the project belongs to no organization in this region.
    const ended = { projectId, organizationId: '', revision: base + 1 };
    const names = { fingerprint: current.fingerprint, newFingerprint: fingerprint };
    events.push(tokenRevoked({ ...ended, ...names }, occasion));
  }
  const revision = base + events.length + 1;
  events.push(tokenCreated({ projectId, fingerprint, revision }, occasion));
  return {
    after: {
      _id: projectId,
      current: isSame && current ? current : { ...token, createTime: occasion.now },
      revision,
      adopted: byMigration,
      ...(over && { over }),
      ...(retiredBy !== undefined && { retiredBy }),
    },
    events,
  };
}

/**
 * Ends the use of a project's token in this region. The event makes guards fetch their facts again
 * and find that the project is gone. Returns undefined if the migration has done this before or is
 * over, or if there is no token.
 */
export function retireToken(
  project: ProjectDocument | undefined,
  { organizationId, migrationId }: { organizationId: string; migrationId: string },
  occasion: Occasion,
): TokenChange | undefined {
  if (project?.current === undefined || project.retiredBy === migrationId) return undefined;
  if (project.over?.includes(migrationId)) return undefined;
  const over = withOver(project, migrationId);
  const away = { ...project, over, retiredBy: migrationId };
  return retired(away, project.current, organizationId, occasion);
}

/**
 * Marks the present token as retired. It stays known, and subscribers learn from the event that its
 * project is not here.
 */
function retired(
  project: ProjectDocument,
  { fingerprint }: Pick<FreshToken, 'fingerprint'>,
  organizationId: string,
  occasion: Occasion,
): TokenChange {
  const { _id: projectId } = project;
  const revision = project.revision + 1;
  const revoked = { projectId, organizationId, fingerprint, newFingerprint: '', revision };
  return {
    after: { ...project, revision, isRetired: true },
    events: [tokenRevoked(revoked, occasion)],
  };
}

/** Purges a project's token permanently. Returns undefined if it is purged already. */
export function purgeToken(
  projectId: string,
  project: ProjectDocument | undefined,
  occasion: Occasion,
): TokenChange | undefined {
  // The document that remains prevents a late step of the project's creation from creating a token
  // again.
  const { now } = occasion;
  if (project === undefined)
    return { after: { _id: projectId, purgeTime: now, revision: 0 }, events: [] };
  if (project.current === undefined) return undefined;
  const revision = project.revision + 1;
  const { current, adopted, over } = project;
  const { fingerprint } = current;
  const revoked = { projectId, organizationId: '', fingerprint, newFingerprint: '', revision };
  const kept = { ...(adopted && { adopted }), ...(over && { over }) };
  return {
    after: { _id: projectId, purgeTime: now, revision, ...kept },
    events: [tokenRevoked(revoked, occasion)],
  };
}

/**
 * Ends a cancelled migration: its later calls bring no token. Purges the present token if this
 * migration brought it, so a process that was paused purges no token of a later migration. Returns
 * undefined if the migration has ended before.
 */
export function purgeAdopted(
  projectId: string,
  project: ProjectDocument | undefined,
  migrationId: string,
  occasion: Occasion,
): TokenChange | undefined {
  if (project?.over?.includes(migrationId)) return undefined;
  const over = withOver(project, migrationId);
  const isOwn = project === undefined || project.adopted?.migrationId === migrationId;
  const purged = isOwn ? purgeToken(projectId, project, occasion) : undefined;
  if (purged) return { ...purged, after: { ...purged.after, over } };
  return endAdoption(projectId, project, migrationId, occasion);
}

/**
 * Ends a cancelled migration of a project that was in this region before. Keeps the present token,
 * whichever migration brought it, because captures that use it are forwarded. Retires it if this
 * migration brought it. Returns undefined if the migration has ended before.
 */
export function endAdoption(
  projectId: string,
  project: ProjectDocument | undefined,
  migrationId: string,
  occasion: Occasion,
): TokenChange | undefined {
  if (project?.over?.includes(migrationId)) return undefined;
  const over = withOver(project, migrationId);
  const present = project ?? { _id: projectId, purgeTime: occasion.now, revision: 0 };
  const { current, adopted, isRetired } = present;
  const hasComeBack = !isRetired && adopted?.migrationId === migrationId;
  // No organization in this region had the project in the meantime.
  if (current && hasComeBack) return retired({ ...present, over }, current, '', occasion);
  return { after: { ...present, over }, events: [] };
}

function withOver(project: ProjectDocument | undefined, migrationId: string): string[] {
  const others = project?.over?.filter((id) => id !== migrationId) ?? [];
  return [...others, migrationId].slice(-overMax);
}

/** Returns a project that has a token. Refuses with NOT_READY if it has none yet. */
export function presentToken(
  project: ProjectDocument | undefined,
): ProjectDocument & { current: NonNullable<ProjectDocument['current']> } {
  const current = project?.current;
  if (project === undefined || current === undefined) throw errors.notReady("the project's token");
  return { ...project, current };
}
