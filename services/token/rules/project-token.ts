import { errors } from '@silo/errors/errors.ts';
import { type Occasion, tokenCreated, tokenRevoked } from '../events.ts';
import type { ProjectDocument } from '../store/documents.ts';

/** A token with the names that it goes by. */
export type FreshToken = { hash: Buffer; token: string; fingerprint: string };

/** More of one project are not under way at a time, by far. */
const overMax = 10;

/** The change of a project's token, and its events. */
export type TokenChange = {
  after: ProjectDocument;
  events: { event: string; subject: string; body: unknown }[];
};

/** The first token of a project. */
export function firstToken(projectId: string, fresh: FreshToken, occasion: Occasion): TokenChange {
  return {
    after: { _id: projectId, current: { ...fresh, createTime: occasion.now }, revision: 1 },
    events: [tokenCreated({ projectId, fingerprint: fresh.fingerprint, revision: 1 }, occasion)],
  };
}

/**
 * Another token in place of the present one. Refuses with NOT_READY where there is none yet, with
 * FINGERPRINT_MISMATCH where it is not the one that the caller expects ('' expects any).
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
 * The token that a migration brings from another region, in place of whatever is here. `revision` is
 * the one that it had there. Undefined where it, or a later one, was adopted before. Where the same token
 * is in use here already, only the migration is noted: its end purges it, if it is cancelled.
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
  // Where it has come back, subscribers have to know.
  if (project && isSame && !isRetired) {
    if (adopted?.migrationId === migrationId) return undefined;
    return { after: { ...project, adopted: byMigration, ...(over && { over }) }, events: [] };
  }
  // A late repeat: the token may have been regenerated here since.
  if (adopted?.migrationId === migrationId && brought.revision <= adopted.revision) {
    return undefined;
  }
  const base = Math.max(project?.revision ?? 0, brought.revision);
  const { fingerprint } = token;
  const events: TokenChange['events'] = [];
  if (current && !isSame) {
    // The project is no organization's here before it is cut over.
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
 * The end of a project's token in this region: others have to look again, and find the project gone.
 * Undefined where the migration has done so before, or there is none.
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

/** The present token stays known, and subscribers know that its project is not here. */
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

/** No token, for ever. Undefined where that is so already. */
export function purgeToken(
  projectId: string,
  project: ProjectDocument | undefined,
  occasion: Occasion,
): TokenChange | undefined {
  // What remains keeps a late step of the project's creation from making a token again.
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
 * The end of a migration that is cancelled: its calls bring no token any more. No token where it has
 * brought the present one: a process that was paused purges nothing that a later migration has brought.
 * Undefined where it has ended before.
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
 * The same where the project was in this region before: the present token is kept, whichever migration has
 * brought it, as its captures are passed on. It is retired where that was this one. Undefined where the
 * migration has ended before.
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
  // No organization had it here meanwhile.
  if (current && hasComeBack) return retired({ ...present, over }, current, '', occasion);
  return { after: { ...present, over }, events: [] };
}

function withOver(project: ProjectDocument | undefined, migrationId: string): string[] {
  const others = project?.over?.filter((id) => id !== migrationId) ?? [];
  return [...others, migrationId].slice(-overMax);
}

/** A project that has a token; refuses with NOT_READY one that has none yet. */
export function presentToken(
  project: ProjectDocument | undefined,
): ProjectDocument & { current: NonNullable<ProjectDocument['current']> } {
  const current = project?.current;
  if (project === undefined || current === undefined) throw errors.notReady("the project's token");
  return { ...project, current };
}
