import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import type { Transaction } from '@silo/mongo/event-log.ts';
import type { Unpropagated } from '@silo/mongo/requests.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import {
  type MoveProjectRequest,
  MoveProjectResponse,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { ask } from '@silo/rpc/ask.ts';
import { type Call, type Handler, keyCaller } from '@silo/rpc/call.ts';
import { refusalError } from '@silo/rpc/refusal.ts';
import { checkEtag, revisionOf } from '@silo/tokens/etag.ts';
import { newId } from '@silo/tokens/ids.ts';
import { requireMayCreate } from '../rules/create-project.ts';
import { requireMoveAllowed, requireSameRegion } from '../rules/move.ts';
import { refuseUnusable } from '../rules/slots.ts';
import type { MoveDocument, ProjectDocument } from '../store/documents.ts';
import type { Dependencies } from './dependencies.ts';
import { movedEvent } from './events.ts';
import { projectMessage } from './messages.ts';
import { withOwner } from './with-owner.ts';

type Uses = Pick<Dependencies, 'projects' | 'slots' | 'moves' | 'eventLog' | 'access'>;

const scope = 'project:write';

type Moved = Unpropagated<MoveProjectResponse>;

/** One move as it is decided. */
type Plan = {
  request: MoveProjectRequest;
  sourceId: string;
  /** Thrown where the source does not own the project any more. */
  gone: SiloError;
};

/** Thrown by the quick way where it cannot tell which rule stood in the way. */
class Unexplained extends Error {}

export const createMoveProject =
  (uses: Uses): Handler<MoveProjectRequest, MoveProjectResponse> =>
  async (request, call) => {
    const { access } = uses;
    const needs = { scope, level: Level.LEVEL_ADMIN };
    return await withOwner({ access, call }, needs, async (sourceId, gone) => {
      requireSameRegion(sourceId, request.destinationOrganizationId);
      await authorizeDestination(uses, request.destinationOrganizationId, call);
      return await decide(uses, call, { request, sourceId, gone });
    });
  };

/** Whoever is no member of the destination is told nothing else about it. */
async function authorizeDestination(
  { access }: Uses,
  organizationId: string,
  call: Call,
): Promise<void> {
  const { keyHash } = keyCaller(call);
  const level = Level.LEVEL_MEMBER;
  const answer = await ask(access, call, { keyHash, scope, organizationId, level });
  if (!answer.allowed) throw refusalError(answer.refusal);
  const { organization } = answer.facts;
  if (organization === undefined) throw errors.organizationNotFound(organizationId);
  requireMayCreate(organization);
}

async function decide(uses: Uses, call: Call, plan: Plan): Promise<Moved> {
  const { sourceId, request } = plan;
  const reauthorize = [
    { organizationId: sourceId, level: Level.LEVEL_ADMIN },
    { organizationId: request.destinationOrganizationId, level: Level.LEVEL_MEMBER },
  ];
  const by = async (way: Way) => {
    const { response } = await uses.eventLog.mutate(call, MoveProjectResponse, async (tx) => ({
      response: await way(uses, call, plan, tx),
      reauthorize,
    }));
    return response;
  };
  try {
    return await by(moveIfAllowed);
  } catch (error) {
    if (!(error instanceof Unexplained)) throw error;
    return await by(judgeAndMove);
  }
}

type Way = (uses: Uses, call: Call, plan: Plan, tx: Transaction) => Promise<Moved>;

/** The quick way: writes that match only where every state rule holds, and no reads. */
async function moveIfAllowed(uses: Uses, call: Call, plan: Plan, tx: Transaction) {
  const { request, sourceId } = plan;
  // Both documents are one then, which the writes below would count down and up again.
  if (request.destinationOrganizationId === sourceId) throw new Unexplained();
  return await write(uses, call, plan, tx);
}

/** The way that can explain: reads all, as of one instant, judges, and moves if it may after all. */
async function judgeAndMove(uses: Uses, call: Call, plan: Plan, tx: Transaction) {
  const { request, sourceId, gone } = plan;
  const { destinationOrganizationId: destinationId, projectId, etag } = request;
  const project = await uses.projects.read(tx, sourceId, projectId);
  if (project === undefined) throw gone;
  const both = await uses.slots.readMany(tx, [sourceId, destinationId]);
  const source = both.get(sourceId);
  const destination = both.get(destinationId);
  if (source === undefined || destination === undefined || destination.closed) {
    throw refuseUnusable(destinationId, destination) ?? new TypeError(`${sourceId} has no slots`);
  }
  checkEtag(etag, project.revision);
  requireMoveAllowed({ project, source, destination });
  return await write(uses, call, plan, tx);
}

/** The move itself. Every statement demands what the rules demand of what it changes. */
async function write(
  { projects, slots, moves }: Uses,
  call: Call,
  { request, sourceId }: Plan,
  tx: Transaction,
): Promise<Moved> {
  const { projectId, etag, destinationOrganizationId: destinationId } = request;
  const expected = { organizationId: sourceId, revision: revisionOf(etag) };
  const project = await projects.transfer(tx, projectId, expected, destinationId);
  if (project === undefined) throw new Unexplained();
  if (!(await slots.transfer(tx, sourceId, destinationId))) throw new Unexplained();
  const move: MoveDocument = {
    _id: newId('mov', { now: tx.now }),
    projectId,
    sourceOrganizationId: sourceId,
    destinationOrganizationId: destinationId,
    actorAccountId: keyCaller(call).key.accountId,
    moveTime: tx.now,
  };
  await moves.insert(tx, move);
  tx.emit(movedEvent(project, move, { actor: call.actor, tx }));
  return answerOf(project, move);
}

function answerOf(project: ProjectDocument, { _id, ...move }: MoveDocument): Moved {
  return { project: projectMessage(project), move: { id: _id, ...move } };
}
