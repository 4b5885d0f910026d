import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { systemClock } from '@silo/runtime/clock.ts';
import test from 'ava';
import type { Fills } from '../access.ts';
import { askOwners } from '../ask-owners.ts';

const key = {
  keyId: 'key_1',
  accountId: 'acc_1',
  scopes: ['*'],
  organizationIds: [],
  projectIds: ['prj_1'],
  expireTime: undefined,
  disabled: false,
};

/** Owners that note what they are asked. */
function owners() {
  const asked: string[] = [];
  const note = <T>(what: string, answer: T) => {
    asked.push(what);
    return Promise.resolve(answer);
  };
  const fills: Fills = {
    token: () => note('token', { projectId: 'prj_1' }),
    key: () => note('key', key),
    project: () => note('project', undefined),
    organization: () => note('organization', { membersMayCreateProjects: true }),
    membership: () => note('membership', Level.LEVEL_ADMIN),
  };
  return { access: askOwners({ fills, clock: systemClock }), asked };
}

const { signal } = new AbortController();
const keyHash = new Uint8Array(32);

test('a malformed token is refused without asking anybody', async (t) => {
  const { access, asked } = owners();
  t.false((await access.verifyToken('phc_nonsense', signal)).allowed);
  t.deepEqual(asked, []);
});

test('a project is judged as its former organization’s, where the question says so', async (t) => {
  const { access, asked } = owners();
  const question = { keyHash, organizationId: 'org_1', projectId: 'prj_1' };
  t.true((await access.authorize(question, signal)).allowed);
  t.false((await access.authorize({ ...question, projectId: 'prj_2' }, signal)).allowed);
  t.false(asked.includes('project'));
});

test('a project that does not exist ends the asking', async (t) => {
  const { access, asked } = owners();
  t.false((await access.authorize({ keyHash, projectId: 'prj_1' }, signal)).allowed);
  t.deepEqual(asked.sort(), ['key', 'project']);
});
