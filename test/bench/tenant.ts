import { randomUUID } from 'node:crypto';
import type { Silo } from '@silo/embedded/silo.ts';
import { BillingServiceClient, Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { OrganizationServiceClient } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { ProjectServiceClient } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { type Connected, connect, createChannel } from '@silo/rpc/client.ts';
import { newId } from '@silo/tokens/ids.ts';
import type { Live } from './live.ts';

const callDeadlineMs = 20_000;

/** Somebody who owns two organizations on a plan without a limit. */
export type Tenant = Disposable & {
  accountId: string;
  apiKey: string;
  organizationIds: readonly [string, string];
  /** The Default Project of the first organization, and its token. */
  projectId: string;
  projectToken: string;
  projects: Connected<ProjectServiceClient>;
};

/** Signs somebody up, over public gRPC; each organization then holds `projects` projects. */
export async function createTenant(
  { endpoints }: Silo,
  live: Live,
  { projects }: { projects: number },
): Promise<Tenant> {
  using setUp = new DisposableStack();
  const { ca, services } = endpoints;
  const channelTo = (service: 'org' | 'billing') =>
    setUp.use(createChannel(services[service].public, { ca }));
  const created = await connect(AccountServiceClient, channelTo('org'), answered).createAccount({
    email: `${randomUUID()}@example.com`,
    displayName: 'Bench',
    organizationName: 'First',
    requestId: randomUUID(),
  });
  const { apiKey, projectId, projectToken } = created;
  const first = idOf(created.organization);
  const asCaller = { ...answered, metadata: { authorization: `Bearer ${apiKey}` } };
  const organizations = connect(OrganizationServiceClient, channelTo('org'), asCaller);
  const { organization } = await organizations.createOrganization({
    name: 'Second',
    requestId: '',
  });
  const second = idOf(organization);
  const billing = connect(BillingServiceClient, channelTo('billing'), asCaller);
  for (const organizationId of [first, second]) {
    await upgrade(billing, organizationId);
    await addProjects(live, organizationId, projects - 1);
  }
  const channel = createChannel(services.project.public, { ca });
  return {
    accountId: idOf(created.account),
    ...{ apiKey, projectId, projectToken },
    organizationIds: [first, second],
    projects: connect(ProjectServiceClient, channel, asCaller),
    [Symbol.dispose]: () => channel.close(),
  };
}

const answered = { refusals: true, deadlineMs: callDeadlineMs };

async function upgrade(
  billing: Connected<BillingServiceClient>,
  organizationId: string,
): Promise<void> {
  await billing.updateBillingDetails({
    organizationId,
    billingDetails: {
      companyName: 'Bench',
      email: 'bench@example.com',
      address: '1 Example Street',
      countryCode: 'NL',
      taxId: '',
    },
    etag: '',
    requestId: '',
  });
  await billing.changePlan({ organizationId, plan: Plan.PLAN_SCALE, etag: '', requestId: '' });
}

/**
 * Copies the organization's one project so many times, counted in its slots. Straight into the
 * store: ten thousand calls would take minutes, and what is measured is what comes after them.
 */
async function addProjects(live: Live, organizationId: string, more: number): Promise<void> {
  if (more <= 0) return;
  const sample = await live.find('project', 'projects', { organizationId });
  const copies = Array.from({ length: more }, (_, index) => {
    const name = `Project ${index + 1}`;
    return { ...sample, _id: newId('prj'), name, searchName: name.toLowerCase() };
  });
  await live.collection('project', 'projects').insertMany(copies);
  const slots = live.collection<{ _id: string; count: number }>('project', 'slots');
  await slots.updateOne({ _id: organizationId }, { $inc: { count: more } });
}

function idOf(thing: { id: string } | undefined): string {
  if (thing === undefined) throw new TypeError('the answer lacks what it promises');
  return thing.id;
}
