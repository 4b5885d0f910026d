import type { SagaDefinition } from '@silo/saga/definition.ts';
import type { Peers } from '@silo/service/peers.ts';
import type { ProjectDocument } from '../store/documents.ts';

/** The projects that one request decided, as they were then, and their tokens by project id. */
type CreateProjectsData = {
  projects: ProjectDocument[];
  tokens: Record<string, string>;
};

type CreateProjectsState = 'decided' | 'done';

export type CreateProjectsSaga = SagaDefinition<CreateProjectsState, CreateProjectsData>;

/** The steps after the decision to create projects: each project gets its token. */
export function createProjectsSaga({
  secrets,
}: Pick<Peers['token'], 'secrets'>): CreateProjectsSaga {
  return {
    kind: 'create_projects',
    transitions: { decided: ['done'], done: [] },
    steps: {
      decided: async ({ _id, actor, data }, { signal }) => {
        const made = await Promise.all(
          data.projects.map(async ({ _id: projectId }) => {
            const request = { projectId, actor, correlationId: _id };
            const answer = await secrets.makeProjectToken(request, { signal });
            return [projectId, answer.token] as const;
          }),
        );
        return { next: 'done', data: { tokens: Object.fromEntries(made) } };
      },
    },
  };
}
