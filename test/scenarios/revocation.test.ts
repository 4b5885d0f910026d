import { randomUUID } from 'node:crypto';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import { loadImage, siloMethods } from '@silo/protos/image.ts';
import { retry } from '@silo/runtime/retry.ts';
import { eventually, isLate } from '../harness/eventually.ts';
import { refused } from '../harness/refusals.ts';
import { startTestSilo, type TestSilo } from '../harness/silo.ts';
import { harmless } from './harmless-changes.ts';
import { revocations } from './revocations.ts';
import { addSilentGuard, present, scenarios } from './support.ts';

/** How long a barrier waits for a silent guard. */
const leaseMs = 10_000;
const test = scenarios(() => startTestSilo({ leaseMs }));

/** The last position of a service's log, once all events are sequenced. */
async function headOf(silo: TestSilo, source: 'org' | 'project' | 'token'): Promise<number> {
  const { head } = await silo.internal()[source].eventLog.getHead({});
  return present(head).sequence ?? 0;
}

test('every method that reports its propagation is tested', (t) => {
  const ending = siloMethods(loadImage()).filter(({ path, method }) => {
    const isPublic = !path.includes('.internal.');
    return isPublic && method.output.fields.some(({ name }) => name === 'propagation');
  });
  t.deepEqual(
    Object.keys(revocations).sort(),
    ending.map(({ path }) => path),
  );
});

for (const [path, { source, prepare }] of Object.entries(revocations)) {
  test(`${path}: the access that it removes is refused at every service when it returns`, async (t) => {
    const { silo } = t.context;
    const { revoke, probes, refusedFor } = await prepare(silo);
    // Twice, so that the second answers come from memory.
    for (let turn = 0; turn < 2; turn++) {
      for (const { where, use } of probes) {
        const outcome = await use();
        t.false(isRefusal(outcome, refusedFor), `${where} was accepted before, not ${outcome}`);
      }
    }
    const requestId = randomUUID();
    const before = await headOf(silo, source);
    const { propagation } = await revoke(requestId);
    const used = await Promise.all(probes.map(async ({ where, use }) => [where, await use()]));
    for (const [where = '', outcome = ''] of used) {
      t.true(isRefusal(outcome, refusedFor), `${where} is refused, not ${outcome}`);
    }
    const first = passed(propagation);
    t.is(first.source, source);
    t.true(first.sequence > before);
    const repeated = passed((await revoke(requestId)).propagation);
    t.is(repeated.source, source);
    t.true(repeated.sequence >= first.sequence);

    function passed(said: Propagation | undefined) {
      const { positions, guards, acknowledged, expired, elapsed } = present(said);
      t.is(positions.length, 1);
      t.not(elapsed, undefined);
      t.is(guards, (acknowledged ?? 0) + (expired ?? 0));
      const { source: log = '', sequence = 0, incarnation } = positions[0] ?? {};
      t.truthy(incarnation);
      return { source: log, sequence };
    }
  });
}

for (const { what, prepare } of harmless) {
  test(`${what} does not wait for guards; a repeated change does`, async (t) => {
    const { keep, again } = await prepare(t.context.silo);
    t.is((await keep()).propagation, undefined);
    t.not((await again()).propagation, undefined);
  });
}

test('a change that a silent guard keeps from being confirmed in time is committed, and a repeat waits again', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken: old } = await silo.signUp();
  const requestId = randomUUID();
  const regenerate = (deadlineMs: number) => {
    const request = { projectId, expectedFingerprint: '', requestId };
    return api.projectTokens.regenerateProjectToken(request, { deadlineMs });
  };
  await using guard = await addSilentGuard(silo);
  // On a busy machine the change itself may take longer than the first deadlines.
  let deadlineMs = leaseMs / 8;
  const attempt = () => {
    deadlineMs *= 2;
    return regenerate(Math.min(deadlineMs, leaseMs - 1_000));
  };
  const late = { attemptsMax: 20, baseMs: 1, capMs: 1, isRetryable: isLate };
  const unconfirmed = retry(attempt, { ...late, signal: new AbortController().signal });
  const refusal = await refused(t, unconfirmed, 'PROPAGATION_UNCONFIRMED');
  t.true((refusal.details.retryDelayMs ?? 0) > 0);
  const { projectToken } = await api.projectTokens.getProjectToken({ projectId });
  t.not(projectToken?.token, old);
  const { propagation, ...answer } = await regenerate(120_000);
  t.deepEqual(answer, { projectToken });
  t.is(propagation?.expired, 1);
  await guard.stop();
  const leases = silo.mongo.db(`${silo.databasePrefix}_token`).collection('guard_leases');
  await eventually(async () => {
    if ((await leases.findOne({ guardName: 'silent' })) !== null) throw new Error('it has a lease');
  });
  const { propagation: later, ...again } = await regenerate(120_000);
  t.deepEqual(again, answer);
  t.is(later?.expired, 0, 'an expired lease is not waited for');
});

/** Whether an outcome is one of these refusals; AccessService returns their numbers. */
function isRefusal(outcome: string, reasons: readonly string[]): boolean {
  const numbers: Record<string, number> = ErrorReason;
  return reasons.some((name) => [name, `${numbers[`ERROR_REASON_${name}`]}`].includes(outcome));
}
