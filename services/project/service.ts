import { FactServiceService } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { SlotServiceService } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import { ProjectServiceService } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { mount } from '@silo/rpc/mount.ts';
import type { ServiceDefinition, ServiceKit } from '@silo/service/service-definition.ts';
import { createBatchMoveProjects } from './handlers/batch-move-projects.ts';
import { createCreateProject } from './handlers/create-project.ts';
import { createCreateRecommendedProjects } from './handlers/create-recommended-projects.ts';
import { createDeleteProject } from './handlers/delete-project.ts';
import type { Dependencies } from './handlers/dependencies.ts';
import { createFinalizeMove } from './handlers/finalize-move.ts';
import { createGetMove } from './handlers/get-move.ts';
import { createGetProject } from './handlers/get-project.ts';
import { createGetProjectFact } from './handlers/get-project-fact.ts';
import { createGetSlots } from './handlers/get-slots.ts';
import { createListMoveDestinations } from './handlers/list-move-destinations.ts';
import { createListMoves } from './handlers/list-moves.ts';
import { createListProjects } from './handlers/list-projects.ts';
import { createMoveProject } from './handlers/move-project.ts';
import { createOpenSlots } from './handlers/open-slots.ts';
import { createPreviewMove } from './handlers/preview-move.ts';
import { createReadMoveAccess } from './handlers/read-move-access.ts';
import { createSearchProjects } from './handlers/search-projects.ts';
import { createTryCloseSlots } from './handlers/try-close-slots.ts';
import { createTrySetLimit } from './handlers/try-set-limit.ts';
import { createUndeleteProject } from './handlers/undelete-project.ts';
import { createUndoMove } from './handlers/undo-move.ts';
import { createUpdateProject } from './handlers/update-project.ts';
import { purgeProjects } from './loops/purge-projects.ts';
import { createProjectsSaga } from './sagas/create-projects.ts';
import { createMoveStore } from './store/moves.ts';
import { createProjectStore } from './store/projects.ts';
import { setUpStore } from './store/set-up.ts';
import { createSlotStore } from './store/slots.ts';

/** Projects, who owns them, and how many each organization may have. */
export const projectService: ServiceDefinition = {
  name: 'project',
  setUp: setUpStore,
  fills: (db) => ({ project: createProjectStore(db).fact }),
  build: (kit) => {
    const dependencies = dependenciesOf(kit);
    const { projects } = dependencies;
    return {
      public: [mountPublic(dependencies)],
      internal: mountInternal(dependencies),
      loops: [
        (signal) => purgeProjects({ ...kit, projects, secrets: kit.peers.token.secrets }, signal),
      ],
    };
  },
};

function dependenciesOf({ db, eventLog, access, peers, createSagas }: ServiceKit): Dependencies {
  const createProjects = createProjectsSaga(peers.token);
  return {
    projects: createProjectStore(db),
    slots: createSlotStore(db),
    moves: createMoveStore(db),
    eventLog,
    access,
    peers,
    readMoveAccess: createReadMoveAccess(peers),
    createProjects,
    sagas: createSagas([createProjects]),
  };
}

function mountPublic(dependencies: Dependencies) {
  return mount(ProjectServiceService, {
    createProject: createCreateProject(dependencies),
    getProject: createGetProject(dependencies),
    listProjects: createListProjects(dependencies),
    searchProjects: createSearchProjects(dependencies),
    updateProject: createUpdateProject(dependencies),
    deleteProject: createDeleteProject(dependencies),
    createRecommendedProjects: createCreateRecommendedProjects(dependencies),
    listMoveDestinations: createListMoveDestinations(dependencies),
    previewMove: createPreviewMove(dependencies),
    moveProject: createMoveProject(dependencies),
    batchMoveProjects: createBatchMoveProjects(dependencies),
    getMove: createGetMove(dependencies),
    listMoves: createListMoves(dependencies),
    undoMove: createUndoMove(dependencies),
    finalizeMove: createFinalizeMove(dependencies),
    undeleteProject: createUndeleteProject(dependencies),
  });
}

function mountInternal(dependencies: Dependencies) {
  return [
    mount(FactServiceService, { getProjectFact: createGetProjectFact(dependencies) }),
    mount(SlotServiceService, {
      openSlots: createOpenSlots(dependencies),
      trySetLimit: createTrySetLimit(dependencies),
      tryCloseSlots: createTryCloseSlots(dependencies),
      getSlots: createGetSlots(dependencies),
    }),
  ];
}
