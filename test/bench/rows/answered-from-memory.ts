import type { Bench } from '../bench-servers.ts';
import { startGuards } from '../guards.ts';
import { Live } from '../live.ts';
import { knowAll, revokeAll } from '../revoke-all.ts';
import type { Measured, Row } from '../row.ts';
import { createTenant, giveTokens } from '../tenant.ts';

const guards = 100;
const verified = 100;
const revokedAtOnce = 1_000;
const revokedInTurn = 100;
const moves = 50;

/**
 * The share of verifications that guards answer from memory. Each guard verifies at a steady pace
 * tokens that stay live, while other projects' tokens are revoked one after another, a project
 * moves back and forth, and then a thousand tokens are revoked at once. The other verifications are
 * fetched from the owners, or fail.
 */
export const answeredFromMemory: Row = {
  name: 'answered-from-memory',
  unit: '%',
  goal: { of: 'value', atLeast: 99.9 },
  about: `verifications answered from memory by ${guards} guards during revocations and moves of other projects, one after another and ${revokedAtOnce} at once`,
  run: measure,
};

async function measure(bench: Bench): Promise<Measured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: verified + revokedAtOnce + 1 });
  const [moving = '', ...others] = tenant.projectIds;
  const tokens = await giveTokens(live, others);
  const revoked = others.slice(verified);
  await knowAll(tenant, revoked);
  await using fleet = await startGuards(bench, guards);
  await fleet.verify(tokens.slice(0, verified));
  const startMs = performance.now();
  for (const projectId of revoked.slice(0, revokedInTurn)) await revokeAll(tenant, [projectId]);
  for (let move = 1; move <= moves; move++) {
    const destinationOrganizationId = tenant.organizationIds[move % 2 === 1 ? 1 : 0];
    await tenant.projects.moveProject({
      ...{ projectId: moving, destinationOrganizationId },
      ...{ etag: '', requestId: '', planFingerprint: '' },
    });
  }
  await revokeAll(tenant, revoked);
  const seconds = (performance.now() - startMs) / 1_000;
  const { memory, owners, failed, refused } = await fleet.stop();
  if (refused > 0) throw new Error(`${refused} verifications of live tokens were refused`);
  const verifications = memory + owners + failed;
  const remark = `${verifications} verifications in ${seconds.toFixed(0)} s; ${owners} fetched from owners, ${failed} failed`;
  return { value: (100 * memory) / verifications, remark };
}
