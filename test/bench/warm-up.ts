import type { Silo } from '@silo/embedded/silo.ts';
import { Live } from './live.ts';
import { createTenant, type Tenant } from './tenant.ts';

const atOnce = 4;
const unnamed = { etag: '', requestId: '' };

/**
 * Makes the services execute for a while what rows measure. Services run for weeks, so their speed
 * before their code is compiled does not matter. `rounds` is that of each of four callers.
 */
export async function warmUp(silo: Silo, rounds: number): Promise<void> {
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: 1 });
  await Promise.all(Array.from({ length: atOnce }, () => keepBusy(tenant, rounds)));
}

async function keepBusy(
  { projects, tokens, organizationIds }: Tenant,
  rounds: number,
): Promise<void> {
  const [organizationId, destinationOrganizationId] = organizationIds;
  for (let round = 0; round < rounds; round++) {
    const name = `Warm-up ${round}`;
    const request = { organizationId, name, settings: undefined, requestId: '' };
    const { project } = await projects.createProject(request);
    if (project === undefined) throw new TypeError('the answer holds no project');
    const { id: projectId } = project;
    await tokens.regenerateProjectToken({ projectId, expectedFingerprint: '', requestId: '' });
    const there = { projectId, destinationOrganizationId };
    const batch = { sourceOrganizationId: '', projectIds: [] };
    const { planFingerprint } = await projects.previewMove({ ...there, ...batch });
    await projects.moveProject({ ...there, ...unnamed, planFingerprint });
    const back = { projectId, destinationOrganizationId: organizationId };
    await projects.moveProject({ ...back, ...unnamed, planFingerprint: '' });
  }
}
