import { Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import type { Level } from '@silo/protos/gen/silo/common/v1/level.ts';
import { type Person, patience, type Worker } from './worker.ts';

/** Two accounts, the second a member of the organization of the first. */
export async function twoPeople(worker: Worker, level: Level) {
  const [boss, other] = [await worker.signUp('Boss'), await worker.signUp('Other')];
  const { organizationId } = boss;
  /** Returns the time at which it began. */
  const join = async (): Promise<number> => {
    const { answer, sentMs } = await worker.do(boss.apiKey, (api, requestId) =>
      api.organizations.inviteMember(
        { organizationId, email: other.email, level, requestId },
        patience,
      ),
    );
    await worker.do(other.apiKey, (api, requestId) =>
      api.organizations.acceptInvite({ code: answer.code, requestId }, patience),
    );
    return sentMs;
  };
  return { boss, other, organizationId, join };
}

const billingDetails = {
  ...{ companyName: 'Example Ltd', email: 'billing@example.com', address: '1 Example Street' },
  ...{ countryCode: 'DE', taxId: '' },
};

/** Upgrades to a plan without a limit. */
export async function upgrade(
  worker: Worker,
  { apiKey }: Person,
  organizationId: string,
): Promise<void> {
  await worker.do(apiKey, (api, requestId) =>
    api.billing.updateBillingDetails(
      { organizationId, billingDetails, etag: '', requestId },
      patience,
    ),
  );
  await worker.do(apiKey, (api, requestId) =>
    api.billing.changePlan(
      { organizationId, plan: Plan.PLAN_SCALE, etag: '', requestId },
      patience,
    ),
  );
}

/** The access of a key to read a project. */
export function readsProject(key: string, projectId: string) {
  return { kind: 'key', key, scope: 'project:read', projectId } as const;
}
