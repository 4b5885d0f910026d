import test from 'ava';
import { Failure, Interrupted } from '../failure.ts';
import { createLookUp } from '../names.ts';
import { textOf } from '../text.ts';

const own = { id: 'acc_1', email: 'ada@example.com' };
const organizationId = 'org_us_00000000000000000000000000';
const projectId = 'prj_00000000000000000000000000';
const organizations = {
  listOrganizations: async () => ({
    organizations: [{ id: organizationId, name: 'Acme' }],
    nextPageToken: '',
  }),
};

/** The names of both, where projects are found so. */
async function namesWhere(
  searchProjects: (request: object, options: { signal: AbortSignal }) => Promise<unknown>,
  deadline = new AbortController().signal,
): Promise<string[]> {
  const api = { organizations, projects: { searchProjects } };
  const lookUp = createLookUp(api as never, own, () => deadline);
  const nameOf = await lookUp([organizationId, projectId]);
  return [organizationId, projectId].map((id) => textOf(nameOf(id)));
}

/** An answer that never comes. */
function hanging(_: object, { signal }: { signal: AbortSignal }): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason));
  });
}

test('a name that cannot be read is its id: of a service that is down, too', async (t) => {
  const down = async () => {
    throw new Failure('unavailable', 'nothing listens');
  };
  t.deepEqual(await namesWhere(down), ['Acme', projectId]);
});

test('names that do not come in time are ids, and the others are shown', async (t) => {
  const deadline = new AbortController();
  const names = namesWhere(hanging, deadline.signal);
  deadline.abort();
  t.deepEqual(await names, ['Acme', projectId]);
});

test('an interruption ends the look-up, not the answer that it is for', async (t) => {
  const interrupted = async () => {
    throw new Interrupted('SIGTERM');
  };
  t.deepEqual(await namesWhere(interrupted), ['Acme', projectId]);
});
