import { randomUUID } from 'node:crypto';
import type { Silo } from '@silo/embedded/silo.ts';
import { BillingServiceClient, Plan } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { OrganizationServiceClient } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { ProjectServiceClient } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { ProjectTokenServiceClient } from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import { type Connected, connect, createChannel } from '@silo/rpc/client.ts';
import { fold } from '@silo/runtime/fold.ts';
import { newId } from '@silo/tokens/ids.ts';
import { fingerprintOf, hashOf, newProjectToken } from '@silo/tokens/secrets.ts';
import type { Live } from './live.ts';

const callDeadlineMs = 20_000;

/** The owner of two organizations on a plan without a limit. */
export type Tenant = Disposable & {
  accountId: string;
  apiKey: string;
  organizationIds: readonly [string, string];
  /** The Default Project of the first organization, and its token. */
  projectId: string;
  projectToken: string;
  /** All projects of the first organization; those after the first have no token yet. */
  projectIds: readonly string[];
  projects: Connected<ProjectServiceClient>;
  tokens: Connected<ProjectTokenServiceClient>;
};

/** Signs up over public gRPC; each organization then has `projects` projects. */
export async function createTenant(
  { endpoints }: Pick<Silo, 'endpoints'>,
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
  const projectIds = [projectId];
  for (const organizationId of [first, second]) {
    await upgrade(billing, organizationId);
    const added = await addProjects(live, organizationId, projects - 1);
    if (organizationId === first) projectIds.push(...added);
  }
  using lasting = new DisposableStack();
  const lastingTo = (service: 'project' | 'token') =>
    lasting.use(createChannel(services[service].public, { ca }));
  const clients = {
    projects: connect(ProjectServiceClient, lastingTo('project'), asCaller),
    tokens: connect(ProjectTokenServiceClient, lastingTo('token'), asCaller),
  };
  const channels = lasting.move();
  return {
    accountId: idOf(created.account),
    ...{ apiKey, projectId, projectToken, projectIds },
    organizationIds: [first, second],
    ...clients,
    [Symbol.dispose]: () => channels.dispose(),
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
 * Copies the organization's one project this number of times, and counts the copies in its slots.
 * Written directly into the store, because ten thousand calls would take minutes and are not
 * measured.
 */
async function addProjects(live: Live, organizationId: string, more: number): Promise<string[]> {
  if (more <= 0) return [];
  const sample = await live.find('project', 'projects', { organizationId });
  const copies = Array.from({ length: more }, (_, index) => {
    const name = `Project ${index + 1}`;
    return { ...sample, _id: newId('prj'), name, searchName: fold(name) };
  });
  await live.collection('project', 'projects').insertMany(copies);
  const slots = live.collection<{ _id: string; count: number }>('project', 'slots');
  await slots.updateOne({ _id: organizationId }, { $inc: { count: more } });
  return copies.map(({ _id }) => _id);
}

/**
 * Gives projects their tokens, and returns these in the same order; also written directly into the
 * store.
 */
export async function giveTokens(live: Live, projectIds: readonly string[]): Promise<string[]> {
  const given = projectIds.map((projectId) => {
    const token = newProjectToken();
    return { projectId, token, hash: hashOf(token), fingerprint: fingerprintOf(token) };
  });
  const createTime = new Date();
  await live.collection('token', 'projects').insertMany(
    given.map(({ projectId, ...current }) => {
      return { _id: projectId, current: { ...current, createTime }, revision: 1 };
    }),
  );
  await live
    .collection('token', 'project_tokens')
    .insertMany(given.map(({ hash, projectId }) => ({ _id: hash, projectId })));
  return given.map(({ token }) => token);
}

function idOf(thing: { id: string } | undefined): string {
  if (thing === undefined) throw new TypeError('the answer lacks what it promises');
  return thing.id;
}
