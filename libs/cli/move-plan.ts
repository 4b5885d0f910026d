import type { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { MoveDestination } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { fold } from '@silo/runtime/fold.ts';
import { isId } from '@silo/tokens/ids.ts';
import { everyPage } from './api.ts';
import type { Cli } from './cli.ts';
import { Failure, usage } from './failure.ts';
import type { Plan } from './render/move-preview.ts';

/**
 * The projects to move and their destination: from the command line, else the current project, else
 * from a prompt.
 */
export async function planOf(
  cli: Cli,
  given: readonly string[],
  to: string | undefined,
): Promise<Plan> {
  const { find } = await cli.signedIn();
  const found = new Map<string, Project>();
  for (const each of given.length > 0 ? given : [undefined]) {
    const project = await find.project(each);
    found.set(project.id, project);
  }
  const projects = [...found.values()];
  const sources = new Set(projects.map(({ organizationId }) => organizationId));
  const [sourceId = '', ...others] = sources;
  if (others.length > 0) {
    throw usage(
      'These projects are of several organizations.',
      'move the projects of one organization at a time',
    );
  }
  const organizations = await find.organizations();
  const named = (id: string) => ({
    id,
    name: organizations.find((each) => each.id === id)?.name ?? id,
  });
  const destinationId = await destinationOf(cli, projects, to);
  const isRepeat = cli.globals().requestId !== undefined && sourceId === destinationId;
  const origin = isRepeat ? await originOf(cli, projects[0]?.id ?? '') : sourceId;
  return { projects, source: named(origin), destination: named(destinationId) };
}

/**
 * The organization that a project was in before its latest move: a repeat of that move must name
 * it.
 */
async function originOf(cli: Cli, projectId: string): Promise<string> {
  const { api } = await cli.signedIn();
  const request = { organizationId: '', projectId, pageSize: 1, pageToken: '' };
  const { moves } = await api.projects.listMoves(request);
  return moves[0]?.sourceOrganizationId ?? '';
}

async function destinationOf(
  cli: Cli,
  projects: readonly Project[],
  to: string | undefined,
): Promise<string> {
  const { find } = await cli.signedIn();
  // The id may name an organization of another region, which cannot be looked up here.
  if (to !== undefined) return isId('organization', to) ? to : (await find.organization(to)).id;
  const destinations = await destinationsOf(cli, projects);
  if (destinations.length === 0) {
    const why = 'There is no destination: you are in no other organization of this region.';
    throw new Failure('refused', why, 'silo org create NAME, or silo members accept');
  }
  return cli.prompt.choose(
    'Move to:',
    async (term) => {
      const wanted = fold(term);
      return destinations
        .filter(({ organizationName }) => fold(organizationName).includes(wanted))
        .map(choiceOf);
    },
    { instead: 'give --to.' },
  );
}

/** The possible destinations; those without blockers come first. */
async function destinationsOf(cli: Cli, projects: readonly Project[]): Promise<MoveDestination[]> {
  const { api } = await cli.signedIn();
  const [first, ...others] = projects;
  const projectId = first?.id ?? '';
  const pages = await everyPage((page) =>
    api.projects.listMoveDestinations({ projectId, ...page }),
  );
  const found = pages.flatMap(({ destinations }) => destinations);
  // Blockers are known for one project only; the preview shows those of a batch.
  if (others.length > 0) return found.map((each) => ({ ...each, blockers: [] }));
  return found.toSorted((a, b) => Number(a.blockers.length > 0) - Number(b.blockers.length > 0));
}

function choiceOf({ organizationId, organizationName, blockers }: MoveDestination) {
  if (blockers.length === 0) return { value: organizationId, name: organizationName };
  return {
    value: organizationId,
    name: `${organizationName} (not now)`,
    description: blockers.map(({ description }) => description).join(' '),
  };
}
