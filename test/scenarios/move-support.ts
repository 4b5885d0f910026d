import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import type { Move, Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { PublicApi } from '../harness/clients.ts';
import type { TestSilo } from '../harness/silo.ts';
import { choosePlan, createOrganization, createProject, present } from './support.ts';

/**
 * An account with a source organization of some projects, and a destination, both without a limit.
 */
export async function mover(silo: TestSilo, { projects = 1, name = 'Mover' } = {}) {
  const ada = await silo.signUp(name);
  const sourceId = ada.organization.id;
  await choosePlan(ada.api, sourceId, Plan.PLAN_SCALE);
  const moving: Project[] = [];
  for (let index = 1; index <= projects; index++) {
    moving.push(await createProject(ada.api, sourceId, { name: `Moving ${index}` }));
  }
  const { organizationId: destinationId } = await createOrganization(ada.api, 'Destination');
  await choosePlan(ada.api, destinationId, Plan.PLAN_SCALE);
  const project = present(moving[0]);
  const projectIds = moving.map(({ id }) => id);
  return { ...ada, sourceId, destinationId, projectIds, project, movingId: project.id };
}

/** The projects to move: one project, or a batch of one organization. */
export type WantedMove = {
  from: string;
  to: string;
  projectIds: readonly string[];
};

/** Previews a batch. */
export function previewBatch(api: PublicApi, { from, to, projectIds }: WantedMove) {
  return api.projects.previewMove({
    projectId: '',
    sourceOrganizationId: from,
    projectIds: [...projectIds],
    destinationOrganizationId: to,
  });
}

/** Previews the move of one project. */
export function previewOne(api: PublicApi, projectId: string, destinationOrganizationId: string) {
  const batch = { sourceOrganizationId: '', projectIds: [] };
  return api.projects.previewMove({ projectId, destinationOrganizationId, ...batch });
}

/** Moves one project with the fingerprint of its preview. */
export function movePlanned(
  api: PublicApi,
  projectId: string,
  destinationOrganizationId: string,
  planFingerprint: string,
) {
  const ends = { projectId, destinationOrganizationId };
  return api.projects.moveProject({ ...ends, planFingerprint, etag: '', requestId: '' });
}

/** Moves a batch; returns the move. */
export async function moveBatch(
  api: PublicApi,
  { from, to, projectIds }: WantedMove,
  { planFingerprint = '', requestId = '' } = {},
): Promise<Move> {
  const { move } = await api.projects.batchMoveProjects({
    sourceOrganizationId: from,
    projectIds: [...projectIds],
    destinationOrganizationId: to,
    planFingerprint,
    requestId,
  });
  return present(move);
}

/** Undoes a move; returns the move back. */
export async function undoMove(api: PublicApi, moveId: string, requestId = ''): Promise<Move> {
  return present((await api.projects.undoMove({ moveId, requestId })).move);
}

/** The organization that owns a project, as a member of it reads it. */
export async function ownerOf(api: PublicApi, projectId: string): Promise<string | undefined> {
  return (await api.projects.getProject({ projectId })).project?.organizationId;
}
