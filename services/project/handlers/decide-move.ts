import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import type { Codec, Transaction } from '@silo/mongo/event-log.ts';
import type { Reauthorization } from '@silo/mongo/mutation.ts';
import type { Unpropagated } from '@silo/mongo/requests.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import type { Call } from '@silo/rpc/call.ts';
import { checkEtag, revisionOf } from '@silo/tokens/etag.ts';
import { requireMayCreate } from '../rules/create-project.ts';
import { requireNone, violatedMoveRules } from '../rules/move.ts';
import { refuseUnusable } from '../rules/slots.ts';
import { authorize } from './authorize.ts';
import type { Dependencies } from './dependencies.ts';
import { type Moved, quicklyOrExplained, writeMove } from './write-move.ts';

type Uses = Pick<Dependencies, 'projects' | 'slots' | 'moves' | 'eventLog' | 'access'>;

/** A move as it is asked for, of one project or of a batch. */
export type AskedMove = {
  sourceId: string;
  destinationId: string;
  projectIds: readonly string[];
  /** '' unless the caller names the one project's. */
  etag: string;
  /** What is refused with where the source does not own a project. */
  missing(projectId: string): SiloError;
};

/** Whoever is no member of the destination is told nothing else about it. */
export async function authorizeDestination(
  { access }: Pick<Uses, 'access'>,
  call: Call,
  organizationId: string,
): Promise<void> {
  const needs = { scope: 'project:write', level: Level.LEVEL_MEMBER };
  const { organization } = await authorize(access, call, { ...needs, organizationId });
  if (organization === undefined) throw errors.organizationNotFound(organizationId);
  requireMayCreate(organization);
}

/** Decides a move and remembers the answer; refuses with the first state rule, and tells all. */
export async function decideMove<Response>(
  uses: Uses,
  call: Call,
  asked: AskedMove,
  { codec, answer }: { codec: Codec<Response>; answer(moved: Moved): Unpropagated<Response> },
): Promise<Unpropagated<Response>> {
  const reauthorize = reauthorizationOf(asked);
  const by = async (way: typeof moveIfAllowed) => {
    const { response } = await uses.eventLog.mutate(call, codec, async (tx) => ({
      response: answer(await way(uses, call, asked, tx)),
      reauthorize,
    }));
    return response;
  };
  return await quicklyOrExplained(
    () => by(moveIfAllowed),
    () => by(judgeAndMove),
  );
}

/** Where a repeat is authorized again: a key that is restricted to projects reaches them alone. */
function reauthorizationOf({ sourceId, destinationId, projectIds }: AskedMove): Reauthorization[] {
  const [projectId, ...others] = projectIds;
  const one = projectId !== undefined && others.length === 0 ? { projectId } : {};
  return [
    { organizationId: sourceId, level: Level.LEVEL_ADMIN, ...one },
    { organizationId: destinationId, level: Level.LEVEL_MEMBER },
  ];
}

/** The quick way: no reads. */
async function moveIfAllowed(
  uses: Uses,
  call: Call,
  { etag, ...asked }: AskedMove,
  tx: Transaction,
): Promise<Moved> {
  return await writeMove(uses, call, { ...asked, revision: revisionOf(etag) }, tx);
}

/** The way that can explain: reads all, as of one instant, judges, and moves if it may after all. */
async function judgeAndMove(
  uses: Uses,
  call: Call,
  asked: AskedMove,
  tx: Transaction,
): Promise<Moved> {
  const { sourceId, destinationId, projectIds, etag, missing } = asked;
  const found = await uses.projects.readMany(tx, projectIds);
  const owned = new Map(
    found.flatMap((each) => (each.organizationId === sourceId ? [[each._id, each]] : [])),
  );
  const projects = projectIds.map((id) => {
    const project = owned.get(id);
    if (project === undefined) throw missing(id);
    checkEtag(etag, project.revision);
    return project;
  });
  const both = await uses.slots.readMany(tx, [sourceId, destinationId]);
  const source = both.get(sourceId);
  const destination = both.get(destinationId);
  if (source === undefined || destination === undefined || destination.closed) {
    throw refuseUnusable(destinationId, destination) ?? new TypeError(`${sourceId} has no slots`);
  }
  requireNone(violatedMoveRules({ projects, source, destination, kept: 1 }));
  return await moveIfAllowed(uses, call, asked, tx);
}
