import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { newProjectToken } from '@silo/tokens/secrets.ts';
import test from 'ava';
import { Memory } from '../core/memory.ts';
import { ReadyAnswers } from '../core/ready-answers.ts';

const organizationId = 'org_us_1';
const project = {
  organizationId,
  state: ProjectState.PROJECT_STATE_ACTIVE,
  capture: undefined,
  migratedTo: undefined,
};
const answer = { allowed: true, projectId: 'prj_1', organizationId, project } as const;

/**
 * A token that differs from others only in its last characters, so that all of them hash to the
 * same slot.
 */
function neighbour(index: number): string {
  return `${index}`.padStart(53, 'x');
}

test('a lookup finds the answer of exactly this token', (t) => {
  const ready = new ReadyAnswers();
  const token = newProjectToken();
  ready.set(token, 'prj_1', answer);
  t.is(ready.get(token), answer);
  for (let at = 0; at < token.length; at++) {
    const other = token[at] === 'a' ? 'b' : 'a';
    t.is(ready.get(token.slice(0, at) + other + token.slice(at + 1)), undefined);
  }
  for (const other of ['', token.slice(1), `${token}a`, token.toLowerCase()]) {
    t.is(ready.get(other), undefined);
  }
});

test('text that is not ASCII, or not of a token’s length, is never stored', (t) => {
  const ready = new ReadyAnswers();
  const token = newProjectToken();
  // A character whose code has the same low byte as the letter.
  const wide = token.slice(0, -1) + String.fromCharCode(token.charCodeAt(52) + 256);
  for (const other of ['', 'phc_1', `${token}a`, wide]) {
    ready.set(other, 'prj_1', answer);
    t.is(ready.get(other), undefined);
    ready.delete(other);
    t.false(ready.takeUsed(other));
  }
  ready.set(token, 'prj_1', answer);
  t.is(ready.get(wide), undefined);
  t.is(ready.size, 1);
});

test('the end of a project removes the answers of its tokens and no others', (t) => {
  const ready = new ReadyAnswers();
  const [first, second, third, other] = [1, 2, 3, 4].map(neighbour);
  for (const token of [first, second, third]) ready.set(token ?? '', 'prj_1', answer);
  ready.set(other ?? '', 'prj_2', { ...answer, projectId: 'prj_2' });
  ready.delete(second ?? '');
  ready.endProject('prj_1');
  ready.endProject('prj_1');
  t.deepEqual(
    [first, second, third, other].map((token) => ready.get(token ?? '')),
    [undefined, undefined, undefined, { ...answer, projectId: 'prj_2' }],
  );
  t.is(ready.size, 1);
});

test('a lookup marks a token until the mark is read', (t) => {
  const ready = new ReadyAnswers();
  const token = newProjectToken();
  ready.set(token, 'prj_1', answer);
  t.false(ready.takeUsed(token));
  ready.get(token);
  t.true(ready.takeUsed(token));
  t.false(ready.takeUsed(token));
});

for (const [kind, tokenOf] of [
  ['random tokens', () => newProjectToken()],
  ['tokens that all hash to the same slot', neighbour],
] as const) {
  test(`a random walk with ${kind} finds what a Map finds`, (t) => {
    const ready = new ReadyAnswers();
    const expected = new Map<string, { projectId: string; found: typeof answer }>();
    const tokens = Array.from({ length: 3_000 }, (_, index) => tokenOf(index));
    const drawn = () => tokens[Math.floor(Math.random() * tokens.length)] ?? '';
    const steps = kind === 'random tokens' ? 30_000 : 5_000;
    for (let step = 0; step < steps; step++) {
      const token = drawn();
      const dice = Math.random();
      if (dice < 0.6 && !expected.has(token)) {
        const projectId = `prj_${Math.floor(Math.random() * 1_000)}`;
        const found = { ...answer };
        ready.set(token, projectId, found);
        expected.set(token, { projectId, found });
      } else if (dice < 0.8) {
        ready.delete(token);
        expected.delete(token);
      } else if (dice < 0.9) {
        const { projectId } = expected.get(token) ?? { projectId: 'prj_none' };
        ready.endProject(projectId);
        for (const [other, held] of expected) {
          if (held.projectId === projectId) expected.delete(other);
        }
      }
      const sought = drawn();
      if (ready.get(sought) !== expected.get(sought)?.found) t.fail(`wrong at step ${step}`);
    }
    t.true(expected.size > 200);
    t.is(ready.size, expected.size);
    t.true(tokens.every((token) => ready.get(token) === expected.get(token)?.found));
    ready.clear();
    t.is(ready.size, 0);
    t.true(tokens.every((token) => ready.get(token) === undefined));
  });
}

/** A memory of this size that has remembered a token and answered it. */
function warm(factsMax: number) {
  const memory = new Memory(factsMax, 10);
  const learn = (token: string, projectId: string) => {
    memory.set('token', { kind: 'token', id: token, fingerprint: `of ${token}` }, { projectId });
    memory.set('project', { kind: 'project', id: projectId }, project);
  };
  const token = newProjectToken();
  learn(token, 'prj_1');
  return { memory, learn, token, first: memory.tokenAnswer(token) };
}

test('an answer is ready until any fact behind it ends', (t) => {
  const ends: readonly [string, (memory: Memory, token: string) => void][] = [
    ['its token', (memory, token) => memory.end({ kind: 'token', name: `of ${token}` })],
    ['its project', (memory) => memory.end({ kind: 'project', name: 'prj_1' })],
    ['all facts of token', (memory) => memory.clear('token')],
    ['all facts of project', (memory) => memory.clear('project')],
  ];
  for (const [what, end] of ends) {
    const { memory, token, first } = warm(10);
    t.like(first, { allowed: true, projectId: 'prj_1' });
    t.is(memory.tokenAnswer(token), first, 'ready');
    memory.clear('org');
    t.is(memory.tokenAnswer(token), first, 'no fact of org is behind it');
    end(memory, token);
    t.is(memory.tokenAnswer(token), undefined, what);
  }
});

test('a token of a migrating project is not ready during the cutover, and then belongs to another region', (t) => {
  const migratedTo = { region: 'eu', organizationId: 'org_eu_1' };
  const { PROJECT_STATE_MIGRATING, PROJECT_STATE_MIGRATED, PROJECT_STATE_DELETED } = ProjectState;
  const rows = [
    [{ state: PROJECT_STATE_MIGRATING }, ErrorReason.ERROR_REASON_NOT_READY, ''],
    [{ state: PROJECT_STATE_MIGRATED, migratedTo }, ErrorReason.ERROR_REASON_CROSS_REGION, 'eu'],
    [{ state: PROJECT_STATE_MIGRATED }, ErrorReason.ERROR_REASON_TOKEN_INVALID, ''],
    [{ state: PROJECT_STATE_DELETED }, ErrorReason.ERROR_REASON_TOKEN_INVALID, ''],
    [{ state: 7 as ProjectState }, ErrorReason.ERROR_REASON_TOKEN_INVALID, ''],
  ] as const;
  for (const [fact, reason, detail] of rows) {
    const { memory, token } = warm(10);
    memory.set('project', { kind: 'project', id: 'prj_1' }, { ...project, ...fact });
    // No organization, because a token's holder need not be a member.
    t.deepEqual(memory.tokenAnswer(token), { allowed: false, refusal: { reason, detail } });
    memory.end({ kind: 'project', name: 'prj_1' });
    t.is(memory.tokenAnswer(token), undefined, 'an event of the project ends it');
  }
});

test('an answer is removed when its token’s fact is evicted: no event would find it any more', (t) => {
  const { memory, learn, token } = warm(2);
  for (const index of [2, 3, 4, 5]) learn(newProjectToken(), `prj_${index}`);
  t.is(memory.tokenAnswer(token), undefined);
});

test('a token that is used again and again is not evicted', (t) => {
  const { memory, learn, token, first } = warm(3);
  for (const index of [2, 3, 4, 5, 6, 7]) {
    t.is(memory.tokenAnswer(token), first);
    learn(newProjectToken(), `prj_${index}`);
  }
});

/**
 * Has a memory learn 100 tokens whose projects have facts of 20 KB: only half of them fit in 1 MiB.
 */
function learnLarge({ memory, learn }: ReturnType<typeof warm>, onEach: (token: string) => void) {
  const capture = {
    ...{ anonymizeIps: false, generation: 0, indexedProperties: [], retentionDays: 0 },
    appUrls: Array.from({ length: 20 }, (_, index) => `https://${index}`.padEnd(1_000, 'x')),
  };
  const tokens = Array.from({ length: 100 }, () => newProjectToken());
  for (const [index, token] of tokens.entries()) {
    const id = `prj_of_${index}`;
    learn(token, id);
    memory.set('project', { kind: 'project', id }, { ...project, capture });
    onEach(token);
  }
  return tokens;
}

test('an answer whose project’s fact is evicted goes with it', (t) => {
  const world = warm(100);
  const { memory } = world;
  const tokens = learnLarge(world, (token) => memory.tokenAnswer(token));
  const remembered = tokens.filter((token) => memory.tokenAnswer(token) !== undefined);
  t.true(remembered.length >= 40 && remembered.length <= 55, `${remembered.length} projects`);
});

test('a project whose token is answered again and again is not evicted', (t) => {
  const world = warm(100);
  const { memory, token, first } = world;
  learnLarge(world, () => t.is(memory.tokenAnswer(token), first));
});
