import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import { join } from '../authorization/world.ts';
import { noFilter } from './event-requests.ts';
import { either, etag, type Mutation, moved, updateMask, upgraded } from './mutation-support.ts';
import { choosePlan, createOrganization, createProject } from './support.ts';

const { LEVEL_MEMBER } = Level;

/** Every mutation of the public API and of staff of project, by its path. */
export const projectMutations: Record<string, Mutation> = {
  '/silo.project.v1.ProjectService/CreateProject': {
    events: ['project.created', 'token.created'],
    prepare: async (silo) => {
      const ada = await upgraded(silo);
      const { organizationId } = ada;
      const settings = undefined;
      return either(
        ada,
        ['One', 'Other'],
        (name, requestId, api) =>
          api.projects.createProject({ organizationId, name, settings, requestId }),
        { organizationId },
      );
    },
  },
  '/silo.project.v1.ProjectService/UpdateProject': {
    events: ['project.updated'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      const { projectId: id } = ada;
      return either(
        ada,
        ['One', 'Other'],
        (name, requestId, api) => {
          const project = Project.fromPartial({ id, name });
          return api.projects.updateProject({ project, updateMask, requestId });
        },
        { organizationId: ada.organization.id },
      );
    },
  },
  '/silo.project.v1.ProjectService/DeleteProject': {
    events: ['project.deleted'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      const { projectId } = ada;
      return either(
        ada,
        ['', 'other'],
        (etag, requestId, api) => api.projects.deleteProject({ projectId, etag, requestId }),
        { organizationId: ada.organization.id },
      );
    },
  },
  '/silo.project.v1.ProjectService/CreateRecommendedProjects': {
    events: ['project.created', 'token.created'].flatMap((event) => [event, event, event]),
    prepare: async (silo) => {
      const ada = await upgraded(silo);
      const { api, organizationId } = ada;
      const { organizationId: elsewhere } = await createOrganization(api);
      return either(
        ada,
        [organizationId, elsewhere],
        (organizationId, requestId, api) =>
          api.projects.createRecommendedProjects({ organizationId, requestId }),
        { organizationId },
      );
    },
  },
  '/silo.project.v1.ProjectService/MoveProject': {
    events: ['project.moved'],
    prepare: async (silo) => {
      const { organizationId, ...ada } = await upgraded(silo);
      const { id: projectId } = await createProject(ada.api, organizationId);
      // A member of that organization, so that the move may not be repeated after it.
      const bob = await upgraded(silo);
      await join(bob, ada, LEVEL_MEMBER);
      const move = { projectId, destinationOrganizationId: bob.organizationId };
      return either(
        ada,
        ['', 'other'],
        (etag, requestId, api) =>
          api.projects.moveProject({ ...move, etag, requestId, planFingerprint: '' }),
        { organizationId },
      );
    },
  },
  '/silo.project.v1.ProjectService/BatchMoveProjects': {
    events: ['project.moved', 'project.moved'],
    prepare: async (silo) => {
      const ada = await upgraded(silo);
      const { api, organizationId: sourceOrganizationId } = ada;
      const [one, two] = [
        await createProject(api, sourceOrganizationId),
        await createProject(api, sourceOrganizationId),
      ];
      const { organizationId: destinationOrganizationId } = await createOrganization(api);
      await choosePlan(api, destinationOrganizationId);
      const ends = { sourceOrganizationId, destinationOrganizationId, planFingerprint: '' };
      return either(
        ada,
        [[one.id, two.id], [two.id]],
        (projectIds, requestId, api) =>
          api.projects.batchMoveProjects({ ...ends, projectIds, requestId }),
        { organizationId: sourceOrganizationId },
      );
    },
  },
  '/silo.project.v1.ProjectService/UndoMove': {
    events: ['project.moved'],
    prepare: async (silo) => {
      const ada = await moved(silo);
      const { moveIds } = ada;
      return either(
        ada,
        moveIds,
        (moveId, requestId, api) => api.projects.undoMove({ moveId, requestId }),
        { organizationId: ada.destinationId },
      );
    },
  },
  '/silo.project.v1.ProjectService/FinalizeMove': {
    events: ['project.move_finalized'],
    prepare: async (silo) => {
      const ada = await moved(silo);
      const { moveIds } = ada;
      return either(
        ada,
        moveIds,
        (moveId, requestId, api) => api.projects.finalizeMove({ moveId, requestId }),
        { organizationId: ada.destinationId },
      );
    },
  },
  '/silo.project.v1.EventService/DeleteEvents': {
    events: ['project.events_deleted'],
    prepare: async (silo) => {
      const ada = await silo.signUp();
      const { projectId } = ada;
      return either(
        ada,
        ['ada', 'eve'],
        (distinctId, requestId, api) =>
          api.events.deleteEvents({ projectId, filter: { ...noFilter, distinctId }, requestId }),
        { organizationId: ada.organization.id },
      );
    },
  },
  '/silo.project.v1.ProjectService/UndeleteProject': {
    events: ['project.undeleted'],
    prepare: async (silo) => {
      const ada = await upgraded(silo);
      const { api, projectId, organizationId } = ada;
      const other = await createProject(api, organizationId);
      await api.projects.deleteProject({ projectId, etag, requestId: '' });
      return either(
        ada,
        [projectId, other.id],
        (projectId, requestId, api) => api.projects.undeleteProject({ projectId, requestId }),
        { organizationId },
      );
    },
  },
};
