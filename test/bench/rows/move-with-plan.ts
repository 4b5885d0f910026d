import type { Bench } from '../bench-servers.ts';
import { addMembers } from '../crowd.ts';
import { Live } from '../live.ts';
import { compareLatencies } from '../measure.ts';
import { type Measured, milliseconds, type Row } from '../row.ts';
import { createTenant, type Tenant } from '../tenant.ts';

/**
 * `MoveProject` with the fingerprint of a preview, there and back between two organizations with
 * the same number of members, half of them in both, and two keys a member: the median. The preview
 * before each move is not measured. The floor: the same moves without a fingerprint. The cost of a
 * fingerprint grows with the members, because all of them and their keys are read again.
 */
export const moveWithPlan: readonly Row[] = [
  row('move-with-plan', 20, 1.5),
  row('move-with-plan-100', 100, 2),
];

function row(name: string, members: number, atMost: number): Row {
  return {
    name,
    unit: 'ms',
    goal: { of: 'ratio', atMost },
    about: `MoveProject with plan_fingerprint between organizations of ${members} members with 2 keys each, p50; floor: MoveProject without`,
    run: (bench) => measure(bench, members),
  };
}

async function measure(bench: Bench, members: number): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: 10 });
  await addMembers(live, tenant, members);
  let moves = 0;
  let planned = '';
  const destination = () => tenant.organizationIds[moves % 2 === 0 ? 1 : 0];
  const move = async (planFingerprint: string) => {
    const ends = { projectId: tenant.projectId, destinationOrganizationId: destination() };
    await tenant.projects.moveProject({ ...ends, etag: '', requestId: '', planFingerprint });
    moves++;
  };
  const operations = { floor: () => move(''), measured: () => move(planned) };
  // Done before both, so that the moves of either side begin with the same state of all caches.
  const before = async () => {
    planned = await preview(tenant, destination(), members);
  };
  return milliseconds(await compareLatencies(operations, { before }));
}

async function preview(
  { projects, projectId }: Tenant,
  to: string,
  members: number,
): Promise<string> {
  const batch = { sourceOrganizationId: '', projectIds: [] };
  const move = { projectId, destinationOrganizationId: to };
  const { planFingerprint, losing, gaining } = await projects.previewMove({ ...move, ...batch });
  if (losing?.memberCount !== members / 2 || gaining?.memberCount !== members / 2) {
    throw new Error('the preview lists other members than expected');
  }
  return planFingerprint;
}
