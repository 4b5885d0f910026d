/**
 * The token service is down while access is removed: the change is committed, and a repeat confirms
 * it.
 */
import { randomUUID } from 'node:crypto';
import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import test from 'ava';
import { join } from '../authorization/world.ts';
import { eventually, untilAnswered } from '../harness/eventually.ts';
import { invariantsHold } from '../invariants.ts';
import { type FaultSilo, killService, startDead, startFaultSilo } from './fault-silo.ts';

let silo: FaultSilo;
test.before(async () => {
  silo = await startFaultSilo();
});
test.after.always(() => silo?.[Symbol.asyncDispose]());

test.serial('a removal while the registry is down is committed, and confirmed later', async (t) => {
  const [ada, bob] = await Promise.all([silo.signUp('Ada'), silo.signUp('Bob')]);
  const organizationId = ada.organization.id;
  await join(ada, bob, Level.LEVEL_MEMBER);
  const uses = [
    () => bob.api.organizations.getOrganization({ organizationId }),
    () => bob.api.projects.getProject({ projectId: ada.projectId }),
    () => bob.api.billing.getSubscription({ organizationId }),
    () => bob.api.projectTokens.getProjectToken({ projectId: ada.projectId }),
  ];
  const page = { organizationId, pageSize: 0, pageToken: '' };
  const request = { organizationId, accountId: bob.account.id, etag: '', requestId: randomUUID() };
  const remove = (deadlineMs: number) =>
    ada.api.organizations.removeMember(request, { deadlineMs });
  const unconfirmed = await eventually(async () => {
    await startDead(silo);
    // So that each guard knows the caller; its facts are valid while its read lease lasts.
    const all = [...uses, () => ada.api.organizations.listInvites(page)];
    await Promise.allSettled(all.map((use) => untilAnswered<unknown>(use)));
    await killService(silo, 'token');
    const failed = await remove(3_000).then(
      () => undefined,
      (error: unknown) => error,
    );
    // On a busy machine the lease, or the call, may end before anything is decided.
    const isUnconfirmed =
      failed instanceof SiloError &&
      failed.reason === ErrorReason.ERROR_REASON_PROPAGATION_UNCONFIRMED;
    if (!isUnconfirmed) throw failed ?? new Error('it was confirmed');
    return failed;
  });
  t.true((unconfirmed.details.retryDelayMs ?? 0) > 0);
  const members = silo.mongo.db('silo_org').collection('memberships');
  t.is(await members.countDocuments({ organizationId, accountId: bob.account.id }), 0);
  await startDead(silo);
  const { propagation } = await eventually(() => remove(20_000));
  t.is(propagation?.positions[0]?.source, 'org');
  for (const use of uses) {
    const refused = await t.throwsAsync(untilAnswered<unknown>(use), { instanceOf: SiloError });
    const reasons = [
      ErrorReason.ERROR_REASON_ORGANIZATION_NOT_FOUND,
      ErrorReason.ERROR_REASON_PROJECT_NOT_FOUND,
    ];
    t.true(reasons.some((reason) => reason === refused?.reason));
  }
  await invariantsHold(t, silo);
});
