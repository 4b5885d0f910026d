import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Project, ProjectSettings } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { PublicApi } from '../harness/clients.ts';
import { choosePlan, firstPage, scenarios } from './support.ts';

const test = scenarios();
const largestPage = { pageSize: 1_000, pageToken: '' };
const atOnce = 8;

/** Settings of the maximum size: 25 KB. */
function largestSettings(letter: string): ProjectSettings {
  const appUrls = Array.from({ length: 50 }, (_, index) => {
    return `https://app${index}.example.com/`.padEnd(512, letter);
  });
  return ProjectSettings.fromPartial({ timeZone: 'UTC', appUrls });
}

/** Runs `count` calls, a few at a time. */
async function repeat(count: number, call: (index: number) => Promise<unknown>): Promise<void> {
  const left = Array.from({ length: count }, (_, index) => index);
  const work = async () => {
    for (let index = left.shift(); index !== undefined; index = left.shift()) await call(index);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

/** The number of items on each page of a list, and the ids of all of them. */
async function pagesOf<Item>(
  readPage: (page: { pageSize: number; pageToken: string }) => Promise<{
    items: Item[];
    nextPageToken: string;
  }>,
): Promise<{ counts: number[]; items: Item[] }> {
  const counts: number[] = [];
  const items: Item[] = [];
  let pageToken = '';
  do {
    const page = await readPage({ ...largestPage, pageToken });
    counts.push(page.items.length);
    items.push(...page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return { counts, items };
}

async function updateSettings({ projects }: PublicApi, id: string, settings: ProjectSettings) {
  const project = Project.fromPartial({ id, settings });
  await projects.updateProject({ project, updateMask: ['settings'], requestId: '' });
}

test('many changes of the largest settings do not make the activity log unreadable', async (t) => {
  const { silo } = t.context;
  const [{ api, organization }, other] = [await silo.signUp('Ada'), await silo.signUp('Bob')];
  const organizationId = organization.id;
  const { projects } = await api.projects.listProjects({
    organizationId,
    showDeleted: false,
    ...firstPage,
  });
  const id = projects[0]?.id ?? '';
  for (let turn = 0; turn < 84; turn++) {
    await updateSettings(api, id, largestSettings(turn % 2 === 0 ? 'a' : 'b'));
  }
  const { entries } = await other.api.activity.listActivity({
    ...{ organizationId: other.organization.id, projectId: '' },
    ...firstPage,
  });
  t.true(entries.length > 0);
  const { counts, items } = await pagesOf(async (page) => {
    const answer = await api.activity.listActivity({ organizationId, projectId: '', ...page });
    return { items: answer.entries, nextPageToken: answer.nextPageToken };
  });
  t.true(counts.length > 1 && counts.every((count) => count > 0), counts.join());
  t.is(items.filter(({ type }) => type === 'project.updated').length, 84);
  t.is(new Set(items.map((entry) => entry.id)).size, items.length);
});

test('lists of the largest projects have pages that every client can receive', async (t) => {
  const { api, organization } = await t.context.silo.signUp();
  const organizationId = organization.id;
  await choosePlan(api, organizationId, Plan.PLAN_SCALE);
  const settings = largestSettings('a');
  await repeat(170, (index) =>
    api.projects.createProject({ organizationId, name: `Large ${index}`, settings, requestId: '' }),
  );
  const listed = await pagesOf(async (page) => {
    const answer = await api.projects.listProjects({ organizationId, showDeleted: false, ...page });
    return { items: answer.projects, nextPageToken: answer.nextPageToken };
  });
  const searched = await pagesOf(async (page) => {
    const answer = await api.projects.searchProjects({ query: 'large', ...page });
    return { items: answer.results, nextPageToken: answer.nextPageToken };
  });
  for (const { counts } of [listed, searched]) t.true(counts.length > 1, counts.join());
  t.is(new Set(listed.items.map(({ id }) => id)).size, 171);
  t.is(new Set(searched.items.map(({ project }) => project?.id)).size, 170);
});
