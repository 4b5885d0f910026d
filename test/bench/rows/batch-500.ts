import type { Bench } from '../bench-servers.ts';
import { Live } from '../live.ts';
import type { Measured, Row } from '../row.ts';
import { createTenant, type Tenant } from '../tenant.ts';

const batchSize = 500;
const rounds = 3;

/**
 * One `BatchMoveProjects` of 500 projects against 500 `MoveProject`, one after another, of the same
 * projects between the same organizations: how many times as fast, the median of three rounds.
 */
export const batch500: Row = {
  name: 'batch-500',
  unit: 'times',
  goal: { of: 'value', atLeast: 20 },
  about: `BatchMoveProjects of ${batchSize}: how many times as fast as ${batchSize} MoveProject, one after another`,
  run: measure,
};

async function measure(bench: Bench): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: batchSize + 1 });
  const [first, second] = tenant.organizationIds;
  const there = { from: first, to: second };
  const back = { from: second, to: first };
  const projectIds = await projectsOf(tenant, first);
  // Both sides run once before the measurement.
  await moveBatch(tenant, { ...there, projectIds });
  await moveEach(tenant, { ...back, projectIds: projectIds.slice(0, 10) });
  await moveBatch(tenant, { ...back, projectIds: projectIds.slice(10) });
  const measured: { batchMs: number; singlesMs: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const [out, home] = round % 2 === 0 ? [moveBatch, moveEach] : [moveEach, moveBatch];
    const outMs = await timed(() => out(tenant, { ...there, projectIds }));
    const homeMs = await timed(() => home(tenant, { ...back, projectIds }));
    const [batchMs, singlesMs] = round % 2 === 0 ? [outMs, homeMs] : [homeMs, outMs];
    measured.push({ batchMs, singlesMs });
  }
  const ratio = (each: { batchMs: number; singlesMs: number }) => each.singlesMs / each.batchMs;
  const median = measured.toSorted((a, b) => ratio(a) - ratio(b))[Math.floor(rounds / 2)];
  if (median === undefined) throw new RangeError('at least one round is needed');
  const { batchMs, singlesMs } = median;
  const remark = `${batchMs.toFixed(0)} ms against ${singlesMs.toFixed(0)} ms`;
  return { value: ratio(median), remark };
}

type Wanted = { from: string; to: string; projectIds: string[] };

async function moveBatch({ projects }: Tenant, { from, to, projectIds }: Wanted): Promise<void> {
  await projects.batchMoveProjects({
    sourceOrganizationId: from,
    projectIds,
    destinationOrganizationId: to,
    planFingerprint: '',
    requestId: '',
  });
}

async function moveEach({ projects }: Tenant, { to, projectIds }: Wanted): Promise<void> {
  for (const projectId of projectIds) {
    const ends = { projectId, destinationOrganizationId: to };
    await projects.moveProject({ ...ends, etag: '', requestId: '', planFingerprint: '' });
  }
}

/** 500 of the organization's projects, without the one that must stay. */
async function projectsOf({ projects }: Tenant, organizationId: string): Promise<string[]> {
  const page = { pageSize: batchSize, pageToken: '' };
  const listed = await projects.listProjects({ organizationId, showDeleted: false, ...page });
  if (listed.projects.length !== batchSize) throw new Error('there are not as many projects');
  return listed.projects.map(({ id }) => id);
}

async function timed(act: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await act();
  return performance.now() - startMs;
}
