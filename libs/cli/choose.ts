import type { Project } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { FoundProject } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { fold } from '@silo/runtime/fold.ts';
import type { Api } from './api.ts';
import { usage } from './failure.ts';
import type { Prompts } from './prompt.ts';

// Up to this number of projects are loaded once and filtered here, so that typing needs no further
// calls.
const loadedMax = 1_000;
const shownMax = 100;

/** How an item is listed; `description` is shown while the item is under the cursor. */
type Listed = { name: string; description?: string };

type Question<Thing> = {
  message: string;
  things: readonly Thing[];
  listed: (thing: Thing) => Listed;
  /** What to do if there is no terminal. */
  instead: string;
  /** What to do if there is nothing to choose from. */
  none: string;
};

/** Lets the user choose one of several things, filtered by the typed text. */
export async function chooseOf<Thing>(
  prompt: Prompts,
  { message, things, listed, instead, none }: Question<Thing>,
): Promise<Thing> {
  if (prompt.possible && things.length === 0) throw usage('There is nothing to choose from.', none);
  const find = async (term: string) =>
    things
      .map((value) => ({ value, ...listed(value) }))
      .filter(({ name }) => fold(name).includes(fold(term)))
      .slice(0, shownMax);
  return prompt.choose(message, find, { instead });
}

/** Lets the user choose one of several words. */
export function chooseText<Text extends string>(
  prompt: Prompts,
  message: string,
  texts: readonly Text[],
  instead: string,
): Promise<Text> {
  const listed = (name: Text) => ({ name });
  return chooseOf(prompt, { message, things: texts, listed, instead, none: '' });
}

/**
 * The project switcher: lists the user's projects by name, with the current one marked and under
 * the cursor.
 */
export async function chooseProject(
  api: Api,
  prompt: Prompts,
  { message, currentId }: { message: string; currentId: string },
): Promise<Project> {
  const search = (query: string, pageSize: number) =>
    api.projects.searchProjects({ query, pageSize, pageToken: '' });
  const loaded = prompt.possible ? await search('', loadedMax) : undefined;
  const all = loaded?.nextPageToken === '' ? loaded.results : undefined;
  const found = new Map<string, Project>();
  const id = await prompt.choose(
    message,
    async (term) => {
      const results = all?.filter(isNamed(term)) ?? (await search(term, shownMax)).results;
      const shown = results.slice(0, shownMax);
      for (const { project } of shown) if (project) found.set(project.id, project);
      return shown.map(choiceOf);
    },
    { initial: currentId || undefined, instead: 'name the project.' },
  );
  const project = found.get(id);
  if (project === undefined) throw new Error(`${id} was chosen, but is not in the list`);
  return project;
}

/** Matches as SearchProjects does: by a part of either name, in any case and normal form. */
function isNamed(term: string): (found: FoundProject) => boolean {
  const wanted = fold(term);
  return ({ project, organizationName }) =>
    [project?.name ?? '', organizationName].some((name) => fold(name).includes(wanted));
}

function choiceOf({ project, organizationName, current }: FoundProject) {
  const mark = current ? ' (current)' : '';
  return { value: project?.id ?? '', name: `${project?.name} — ${organizationName}${mark}` };
}
