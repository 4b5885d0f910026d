import test from 'ava';
import { Failure } from '../failure.ts';
import { createFind } from '../find.ts';

const results = ['Website', 'Web shop', 'Webhook', 'Weblog'].map((name, at) => ({
  project: { id: `prj_${at}`, name },
  organizationName: 'Example',
}));
const api = {
  projects: { searchProjects: async () => ({ results, nextPageToken: '' }) },
  organizations: { listOrganizations: async () => ({ organizations: [], nextPageToken: '' }) },
};
const find = createFind(api as never, { possible: false } as never, 'us');

test('the error for an unknown project lists projects with similar names', async (t) => {
  const failure = await t.throwsAsync(find.project('web'), { instanceOf: Failure });
  t.is(
    failure?.next,
    'one of these? "Example/Website", "Example/Web shop", "Example/Webhook"; all: silo projects',
  );
  t.is((await find.project('website')).id, 'prj_0');
});
