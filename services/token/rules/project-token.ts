import { errors } from '@silo/errors/errors.ts';
import { TokenCreated, TokenRevoked } from '@silo/protos/gen/silo/events/v1/events.ts';
import type { ProjectDocument } from '../store/documents.ts';

/** A token with the names that it goes by. */
export type FreshToken = { hash: Buffer; token: string; fingerprint: string };

/** The change of a project's token, and its events. */
export type TokenChange = {
  after: ProjectDocument;
  events: { event: string; subject: string; body: unknown }[];
};

type Occasion = { actor: string; now: Date };

/** The first token of a project. */
export function firstToken(projectId: string, fresh: FreshToken, occasion: Occasion): TokenChange {
  return {
    after: { _id: projectId, current: { ...fresh, createTime: occasion.now }, revision: 1 },
    events: [created(projectId, fresh.fingerprint, 1, occasion)],
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
  const revoked = TokenRevoked.toJSON({
    ...{ projectId, organizationId, revision: revision + 1 },
    fingerprint: current.fingerprint,
    newFingerprint: fresh.fingerprint,
    ...{ actor: occasion.actor, time: occasion.now },
  });
  return {
    after: {
      _id: projectId,
      current: { ...fresh, createTime: occasion.now },
      revision: revision + 2,
    },
    events: [
      { event: 'revoked', subject: projectId, body: revoked },
      created(projectId, fresh.fingerprint, revision + 2, occasion),
    ],
  };
}

/** No token, for ever. Undefined where that is so already. */
export function purgeToken(
  projectId: string,
  project: ProjectDocument | undefined,
  { actor, now }: Occasion,
): TokenChange | undefined {
  // What remains keeps a late step of the project's creation from making a token again.
  if (project === undefined)
    return { after: { _id: projectId, purgeTime: now, revision: 0 }, events: [] };
  if (project.current === undefined) return undefined;
  const revision = project.revision + 1;
  const body = TokenRevoked.toJSON({
    ...{ projectId, organizationId: '', fingerprint: project.current.fingerprint },
    ...{ newFingerprint: '', revision, actor, time: now },
  });
  return {
    after: { _id: projectId, purgeTime: now, revision },
    events: [{ event: 'revoked', subject: projectId, body }],
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

function created(projectId: string, fingerprint: string, revision: number, occasion: Occasion) {
  const { actor, now: time } = occasion;
  const body = TokenCreated.toJSON({ projectId, fingerprint, revision, actor, time });
  return { event: 'created', subject: projectId, body };
}
