import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { ExecutionContext } from 'ava';
import { outcomes } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import { moveBatch, mover, undoMove } from './move-support.ts';
import { choosePlan, createOrganization, moveProject, present, scenarios } from './support.ts';

const test = scenarios();
const rounds = 12;

/** A move of two projects from a small organization, and the concurrent actions on it. */
async function arena(silo: TestSilo) {
  const ada = await mover(silo, { projects: 2 });
  const { api, sourceId, destinationId, projectIds } = ada;
  const [one = '', two = ''] = projectIds;
  const { organizationId: elsewhere } = await createOrganization(api, 'Elsewhere');
  await choosePlan(api, elsewhere, Plan.PLAN_SCALE);
  await choosePlan(api, sourceId, Plan.PLAN_PAY_AS_YOU_GO);
  const begin = async () => {
    const { id } = await moveBatch(api, { from: sourceId, to: destinationId, projectIds });
    return id;
  };
  const acts = {
    undo: (moveId: string) => undoMove(api, moveId),
    finalize: (moveId: string) => api.projects.finalizeMove({ moveId, requestId: '' }),
    move: () => moveProject(api, one, elsewhere),
    delete: () => api.projects.deleteProject({ projectId: two, etag: '', requestId: '' }),
    // The origin keeps its Default Project, which fits; with the returned projects it would not.
    downgrade: () =>
      api.billing.changePlan({
        ...{ organizationId: sourceId, plan: Plan.PLAN_FREE, etag: '', requestId: '' },
      }),
  };
  return { ...ada, one, two, elsewhere, begin, acts };
}

type Arena = Awaited<ReturnType<typeof arena>>;
type Act = keyof Arena['acts'];

/** The stored facts afterwards. */
async function facts({ mongo, databasePrefix }: TestSilo, { sourceId }: Arena, moveId: string) {
  const db = mongo.db(`${databasePrefix}_project`);
  const read = (name: string, _id: string) =>
    db.collection<{ _id: string; [field: string]: unknown }>(name).findOne({ _id });
  const [move, slots] = [await read('moves', moveId), await read('slots', sourceId)];
  const project = async (id: string) => present((await read('projects', id)) ?? undefined);
  return {
    undoneBy: move?.undoneBy,
    finalized: move?.finalizeTime !== undefined,
    limit: slots?.limit,
    count: slots?.count,
    project,
  };
}

/**
 * Asserts that the outcome of a round is a legal one, and that the answers match the stored facts.
 */
async function checkEnds(
  t: ExecutionContext,
  silo: TestSilo,
  here: Arena,
  { moveId, ends }: { moveId: string; ends: Partial<Record<Act, string>> },
): Promise<void> {
  const summary = JSON.stringify(ends);
  const { undoneBy, finalized, limit, count, project } = await facts(silo, here, moveId);
  const [one, two] = [await project(here.one), await project(here.two)];
  const undone = ends.undo === 'OK';
  t.is(undoneBy !== undefined, undone, summary);
  t.is(finalized, ends.finalize === 'OK', summary);
  t.false(undone && finalized, summary);
  // The returned projects fit if one of them is moved on or deleted at the same time.
  const comesBack = undone && ends.move !== 'OK' && ends.delete !== 'OK';
  if (comesBack) t.not(ends.downgrade, 'OK', summary);
  if (ends.downgrade === 'OK') t.deepEqual([limit, count], [1, 1], summary);
  const isDeleted = two.state === ProjectState.PROJECT_STATE_DELETED;
  t.is(isDeleted, ends.delete === 'OK', summary);
  const home = undone ? here.sourceId : here.destinationId;
  t.is(one.organizationId, ends.move === 'OK' ? here.elsewhere : home, summary);
  t.is(two.organizationId, home, summary);
  const reasons: Record<string, string[]> = {
    undo: ['MOVE_FINALIZED', 'MOVE_SUPERSEDED', 'PROJECT_NOT_ACTIVE', 'PROJECT_LIMIT'],
    finalize: ['MOVE_UNDONE'],
    downgrade: ['PLAN_LIMIT_EXCEEDED'],
    // Includes the last project, which the first move left alone.
    move: ['LAST_PROJECT'],
    delete: [],
  };
  for (const [act, end] of Object.entries(ends)) {
    t.true(end === 'OK' || reasons[act]?.includes(end), `${act}: ${summary}`);
  }
}

/** Restores the state at the beginning of a round. */
async function reset(here: Arena, ends: Partial<Record<Act, string>>): Promise<void> {
  const { api, sourceId, destinationId, elsewhere, one, two } = here;
  const home = ends.undo === 'OK' ? sourceId : destinationId;
  if (ends.downgrade === 'OK') await choosePlan(api, sourceId, Plan.PLAN_PAY_AS_YOU_GO);
  if (ends.delete === 'OK') await api.projects.undeleteProject({ projectId: two, requestId: '' });
  const places = { [one]: ends.move === 'OK' ? elsewhere : home, [two]: home };
  for (const from of new Set(Object.values(places))) {
    if (from === sourceId) continue;
    const projectIds = [one, two].filter((id) => places[id] === from);
    await moveBatch(api, { from, to: sourceId, projectIds });
  }
}

const contests: Act[][] = [
  ['undo', 'finalize'],
  ['undo', 'move'],
  ['undo', 'delete'],
  ['undo', 'downgrade'],
  ['undo', 'finalize', 'move', 'delete', 'downgrade'],
];

for (const contest of contests) {
  test(`${contest.join(', ')} at once end in one of the legal outcomes`, async (t) => {
    const { silo } = t.context;
    const here = await arena(silo);
    const seen = new Set<string>();
    for (let round = 0; round < rounds; round++) {
      const moveId = await here.begin();
      // An undo reads more before it decides, so the others give it a head start of this number of
      // reads.
      const headStart = round % 4;
      const results = await outcomes(
        contest.map(async (act) => {
          for (let reads = 0; act !== 'undo' && reads < headStart; reads++) {
            await here.api.projects.getMove({ moveId });
          }
          return await here.acts[act](moveId);
        }),
      );
      const ends = Object.fromEntries(contest.map((act, index) => [act, results[index] ?? '']));
      await checkEnds(t, silo, here, { moveId, ends });
      seen.add(JSON.stringify(contest.map((act) => ends[act])));
      await reset(here, ends);
    }
    t.log([...seen].join(' '));
  });
}

test('of many concurrent undos of one move, one succeeds', async (t) => {
  const { silo } = t.context;
  const here = await arena(silo);
  const moveId = await here.begin();
  const ends = await outcomes(Array.from({ length: 12 }, () => here.acts.undo(moveId)));
  t.deepEqual(ends.toSorted(), [...Array(11).fill('MOVE_UNDONE'), 'OK']);
  t.is((await facts(silo, here, moveId)).count, 3);
});
