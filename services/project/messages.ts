import type { Move, Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { etagOf } from '@silo/tokens/etag.ts';
import type { MoveDocument, ProjectDocument } from './store/documents.ts';

/** A project as the API shows it. */
export function projectMessage(document: ProjectDocument): Project {
  const { _id, organizationId, name, settings, state, createTime, updateTime } = document;
  return {
    id: _id,
    organizationId,
    name,
    settings,
    state,
    createTime,
    updateTime,
    purgeTime: document.purgeTime,
    etag: etagOf(document.revision),
  };
}

/** A move as the API shows it. */
export function moveMessage(document: MoveDocument): Move {
  const { _id, projectIds, sourceOrganizationId, destinationOrganizationId } = document;
  const { actorAccountId, moveTime, undoExpireTime, finalizeTime } = document;
  const [projectId = '', ...others] = projectIds;
  return {
    id: _id,
    projectId: others.length === 0 ? projectId : '',
    sourceOrganizationId,
    destinationOrganizationId,
    actorAccountId,
    moveTime,
    projectIds,
    undoOf: document.undoOf ?? '',
    undoneBy: document.undoneBy ?? '',
    undoExpireTime,
    finalizeTime,
    finalizerAccountId: document.finalizerAccountId ?? '',
  };
}

/** A move as a key may see it that reaches only some projects, where any are given. */
export function visibleMove(document: MoveDocument, onlyIds: readonly string[] | undefined): Move {
  const move = moveMessage(document);
  if (onlyIds === undefined) return move;
  return { ...move, projectIds: move.projectIds.filter((id) => onlyIds.includes(id)) };
}
