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

/** The names of two things, whose projects are found by this function. */
async function namesWhere(
  searchProjects: (request: object, options: { signal: AbortSignal }) => Promise<unknown>,
  deadline = new AbortController().signal,
): Promise<string[]> {
  const api = { organizations, projects: { searchProjects } };
  const lookUp = createLookUp(api as never, own, () => deadline);
  const nameOf = await lookUp([organizationId, projectId]);
  return [organizationId, projectId].map((id) => textOf(nameOf(id)));
}

/** A read that never ends by itself. */
function hanging(_: object, { signal }: { signal: AbortSignal }): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason));
  });
}

test('a name that cannot be read is shown as its id, even if a service is down', async (t) => {
  const down = async () => {
    throw new Failure('unavailable', 'nothing listens');
  };
  t.deepEqual(await namesWhere(down), ['Acme', projectId]);
});

test('names that are not read in time are shown as ids, and the others by name', async (t) => {
  const deadline = new AbortController();
  const names = namesWhere(hanging, deadline.signal);
  deadline.abort();
  t.deepEqual(await names, ['Acme', projectId]);
});

test('an interruption ends the look-up, but not the answer that needs it', async (t) => {
  const interrupted = async () => {
    throw new Interrupted('SIGTERM');
  };
  t.deepEqual(await namesWhere(interrupted), ['Acme', projectId]);
});
