import type { Demand } from '@silo/access/access.ts';
import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import type { Codec, Transaction } from '@silo/log/event-log.ts';
import type { Outcome, Unpropagated } from '@silo/mongo/mutation.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Call } from '@silo/rpc/call.ts';
import { checkEtag, revisionOf } from '@silo/tokens/etag.ts';
import { requireNone, violatedMoveRules } from '../../rules/move.ts';
import { accessChanges, type MoveAccess } from '../../rules/move-access.ts';
import { planChanges } from '../../rules/plan-fingerprint.ts';
import { refuseUnusable } from '../../rules/slots.ts';
import type { ProjectDocument, SlotsDocument } from '../../store/documents.ts';
import type { Dependencies } from '../dependencies.ts';
import { authorizeCreation } from './authorize-creation.ts';
import { type Moved, optimisticThenDiagnosed, writeMove } from './write-move.ts';

export type MoveDependencies = Pick<
  Dependencies,
  'projects' | 'slots' | 'moves' | 'eventLog' | 'access' | 'readMoveAccess'
>;

/** The request of a move of one project or of a batch. */
export type RequestedMove = {
  sourceId: string;
  destinationId: string;
  projectIds: readonly string[];
  /** Whether the caller named the source: true for a batch, false for one project. */
  namesSource: boolean;
  /** The etag of the one project if the caller sent it; otherwise ''. */
  etag: string;
  /** The error for a project that the source does not own. */
  missing(projectId: string): SiloError;
  /** The fingerprint of the preview that the move must still match; '' without one. */
  planFingerprint: string;
};

/** Makes a move's response, and encodes it to be remembered. */
type Answering<Response> = {
  codec: Codec<Response>;
  answer(moved: Moved): Unpropagated<Response>;
};

/**
 * Authorizes a move in its destination, decides it, and remembers the response. Refuses with
 * ORGANIZATION_NOT_FOUND or ADMIN_REQUIRED alone; otherwise with the first violated state rule, and
 * lists all.
 */
export async function moveProjects<Response>(
  dependencies: MoveDependencies,
  call: Call,
  requested: RequestedMove,
  answering: Answering<Response>,
): Promise<Outcome<Response>> {
  const { sourceId, destinationId, projectIds, planFingerprint } = requested;
  const ends = { sourceId, destinationId, projectIds, withNames: false };
  await authorizeCreation(dependencies.access, call, destinationId);
  const own = new AbortController();
  const signal = AbortSignal.any([call.signal, own.signal]);
  // Read concurrently with the decision's own reads, which may refuse before this is awaited.
  const access = planFingerprint === '' ? undefined : dependencies.readMoveAccess(ends, signal);
  access?.catch(() => {});
  const by = async (way: (tx: Transaction) => Promise<Moved>) => {
    return await dependencies.eventLog.mutate(call, answering.codec, async (tx) => ({
      response: answering.answer(await way(tx)),
      reauthorize: reauthorizationOf(requested),
    }));
  };
  const diagnosed = () => by((tx) => checkAndMove(dependencies, call, requested, access, tx));
  try {
    if (access !== undefined) return await diagnosed();
    return await optimisticThenDiagnosed(
      () => by((tx) => moveIfAllowed(dependencies, call, requested, tx)),
      diagnosed,
    );
  } finally {
    own.abort();
  }
}

/**
 * The authorization of a repeated request: as for the move, in both organizations. If the caller
 * named one project, whose source the caller cannot see, also for the current owner of the project;
 * the caller's access there before the move is not required.
 */
function reauthorizationOf(requested: RequestedMove): Demand[] {
  const { sourceId, destinationId, projectIds, namesSource } = requested;
  const level = Level.LEVEL_ADMIN;
  const destination = { organizationId: destinationId, createsProjects: true };
  if (namesSource) return [{ organizationId: sourceId, level }, destination];
  return projectIds.flatMap((projectId) => {
    const hiddenAs = { reason: ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND, detail: projectId };
    return [
      { organizationId: sourceId, level, hiddenAs },
      destination,
      { projectId, level: Level.LEVEL_MEMBER, evenGone: true },
    ];
  });
}

/** The optimistic way: writes without reads. */
async function moveIfAllowed(
  dependencies: MoveDependencies,
  call: Call,
  { sourceId, destinationId, projectIds, etag }: RequestedMove,
  tx: Transaction,
): Promise<Moved> {
  const wanted = { sourceId, destinationId, projectIds, revision: revisionOf(etag) };
  return await writeMove(dependencies, call, wanted, tx);
}

/**
 * The diagnosing way: reads all facts in one snapshot, evaluates the rules, and moves if allowed.
 */
async function checkAndMove(
  dependencies: MoveDependencies,
  call: Call,
  requested: RequestedMove,
  access: Promise<MoveAccess> | undefined,
  tx: Transaction,
): Promise<Moved> {
  const { sourceId, destinationId, projectIds, etag, planFingerprint } = requested;
  const projects = projectsOf(await dependencies.projects.readMany(tx, projectIds), requested);
  const both = requireUsable(
    await dependencies.slots.readMany(tx, [sourceId, destinationId]),
    requested,
  );
  for (const { revision } of projects) checkEtag(etag, revision);
  const refusals = violatedMoveRules({ projects, ...both, kept: 1 });
  const changed = async () => {
    if (access === undefined) return [];
    const changes = accessChanges(requested, await access);
    const outcome = { sourceId, destinationId, projects, refusals, changes };
    const differences = planChanges(planFingerprint, outcome);
    return differences.length > 0 ? [errors.planChanged(differences)] : [];
  };
  if (refusals.length > 0) requireNone([...refusals, ...(await changed())]);
  // Write while the access is still being read: if it has changed, the transaction aborts.
  const moved = await moveIfAllowed(dependencies, call, requested, tx);
  requireNone(await changed());
  return moved;
}

/** The source's projects of the move, in their order. Throws if one is missing. */
export function projectsOf(
  found: readonly ProjectDocument[],
  { sourceId, projectIds, missing }: Pick<RequestedMove, 'sourceId' | 'projectIds' | 'missing'>,
): ProjectDocument[] {
  const byId = new Map(found.map((each) => [each._id, each]));
  return projectIds.map((id) => {
    const project = byId.get(id);
    if (project?.organizationId !== sourceId) throw missing(id);
    return project;
  });
}

/** The slots of both organizations. Refuses with NOT_READY, ORGANIZATION_NOT_FOUND. */
export function requireUsable(
  both: ReadonlyMap<string, SlotsDocument>,
  { sourceId, destinationId }: Pick<RequestedMove, 'sourceId' | 'destinationId'>,
): { source: SlotsDocument; destination: SlotsDocument } {
  const source = both.get(sourceId);
  const destination = both.get(destinationId);
  const unusable = refuseUnusable(destinationId, destination);
  if (unusable !== undefined) throw unusable;
  if (source === undefined || destination === undefined) {
    throw new TypeError(`${sourceId} has no slots`);
  }
  return { source, destination };
}
