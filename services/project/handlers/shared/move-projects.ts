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

/** The request of a move, of one project or of a batch. */
export type RequestedMove = {
  sourceId: string;
  destinationId: string;
  projectIds: readonly string[];
  /** Whether the caller named the source: of a batch, not of one project. */
  namesSource: boolean;
  /** '' unless the caller names the one project's. */
  etag: string;
  /** What is refused with where the source does not own a project. */
  missing(projectId: string): SiloError;
  /** What the move must still do, where the caller has named a preview; '' where not. */
  planFingerprint: string;
};

/** How a move's answer is made, and encoded to be remembered. */
type Answering<Response> = {
  codec: Codec<Response>;
  answer(moved: Moved): Unpropagated<Response>;
};

/**
 * Authorizes a move in its destination, decides it, and remembers the answer. Refuses with
 * ORGANIZATION_NOT_FOUND or ADMIN_REQUIRED alone; else with the first state rule, and lists all.
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
  // Read beside the decision's own reads, which refuse before it is awaited.
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
 * By what a repeat is authorized: as the move was, in both organizations. Where the caller named
 * one project, whose source the caller cannot see, also for the current owner of the project; what
 * the caller was there before the move is waived.
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
 * The diagnosing way: reads all, as of one instant, evaluates the rules, and moves if
 * allowed.
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
  // Written while the access is still being read: what turns out to have changed undoes it.
  const moved = await moveIfAllowed(dependencies, call, requested, tx);
  requireNone(await changed());
  return moved;
}

/** The source's projects of the move, in their order; throws what is missing. */
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
