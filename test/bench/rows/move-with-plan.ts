import type { Bench } from '../bench-servers.ts';
import { addMembers } from '../crowd.ts';
import { Live } from '../live.ts';
import { compareLatencies } from '../measure.ts';
import { type Measured, milliseconds, type Row } from '../row.ts';
import { createTenant, type Tenant } from '../tenant.ts';

const members = 100;

/**
 * `MoveProject` held to the fingerprint of a preview, there and back between two organizations with
 * 100 members each, half of them in both, and two keys a member: the median. The preview before each
 * move is not measured.
 *
 * The floor: the same moves without a fingerprint.
 */
export const moveWithPlan: Row = {
  name: 'move-with-plan',
  unit: 'ms',
  goal: { of: 'ratio', atMost: 1.5 },
  about: `MoveProject with plan_fingerprint between organizations of ${members} members with 2 keys each, p50; floor: MoveProject without`,
  run: measure,
};

async function measure(bench: Bench): Promise<Measured> {
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
  // Before both: the moves of either side begin from the same state of all caches.
  const before = async () => {
    planned = await preview(tenant, destination());
  };
  return milliseconds(await compareLatencies(operations, { before }));
}

async function preview({ projects, projectId }: Tenant, to: string): Promise<string> {
  const batch = { sourceOrganizationId: '', projectIds: [] };
  const move = { projectId, destinationOrganizationId: to };
  const { planFingerprint, losing, gaining } = await projects.previewMove({ ...move, ...batch });
  if (losing?.memberCount !== members / 2 || gaining?.memberCount !== members / 2) {
    throw new Error('the preview tells of other members than there are');
  }
  return planFingerprint;
}
