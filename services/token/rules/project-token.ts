import { errors } from '@silo/errors/errors.ts';
import { type Occasion, tokenCreated, tokenRevoked } from '../events.ts';
import type { ProjectDocument } from '../store/documents.ts';

/** A token with the names that it goes by. */
export type FreshToken = { hash: Buffer; token: string; fingerprint: string };

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
  const { _id: projectId, current, revision } = presentToken(project);
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
      _id: projectId,
      current: { ...fresh, createTime: occasion.now },
      revision: revision + 2,
    },
    events: [tokenRevoked(revoked, occasion), tokenCreated(created, occasion)],
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
  const { fingerprint } = project.current;
  const revoked = { projectId, organizationId: '', fingerprint, newFingerprint: '', revision };
  return {
    after: { _id: projectId, purgeTime: now, revision },
    events: [tokenRevoked(revoked, occasion)],
  };
}

/** A project that has a token; refuses with NOT_READY one that has none yet. */
export function presentToken(
  project: ProjectDocument | undefined,
): ProjectDocument & { current: NonNullable<ProjectDocument['current']> } {
  const current = project?.current;
  if (project === undefined || current === undefined) throw errors.notReady("the project's token");
  return { ...project, current };
}
