import { randomUUID } from 'node:crypto';
import { SubscriptionServiceClient } from '@silo/protos/gen/silo/billing/internal/v1/subscription_service.ts';
import { BillingServiceClient } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { DirectoryServiceClient } from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import { FactServiceClient as OrgFactServiceClient } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { StaffServiceClient as OrgStaffServiceClient } from '@silo/protos/gen/silo/org/internal/v1/staff_service.ts';
import {
  type Account,
  AccountServiceClient,
} from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { ActivityServiceClient } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import type { Organization } from '@silo/protos/gen/silo/org/v1/organization.ts';
import { OrganizationServiceClient } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { FactServiceClient as ProjectFactServiceClient } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { SlotServiceClient } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import { EventServiceClient } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { ProjectServiceClient } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { AccessServiceClient } from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import { FactServiceClient as TokenFactServiceClient } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import { RegistryServiceClient } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { SecretServiceClient } from '@silo/protos/gen/silo/token/internal/v1/secret_service.ts';
import { StaffServiceClient as TokenStaffServiceClient } from '@silo/protos/gen/silo/token/internal/v1/staff_service.ts';
import { ApiKeyServiceClient } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { ProjectTokenServiceClient } from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import { type CallOptions, connect, createChannel, type RpcChannel } from '@silo/rpc/client.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import type { ServiceName } from '@silo/service/config.ts';
import { certificate } from './certificates.ts';
import { untilAnswered } from './eventually.ts';

/** Where the services of one deployment listen. */
export type Addresses = Record<ServiceName, { public: string; internal: string }>;

/** The public API as one caller sees it. */
export type PublicApi = ReturnType<typeof publicApi>;

/** The internal API as the holder of one certificate sees it. */
type InternalApi = ReturnType<typeof internalApi>;

/** Somebody who signed up. */
export type SignedUp = {
  account: Account;
  organization: Organization;
  projectId: string;
  projectToken: string;
  apiKeyId: string;
  apiKey: string;
  /** The public API, called with this key. */
  api: PublicApi;
};

/** How tests call a deployment. */
export type Clients = {
  addresses: Addresses;
  /** The public API with this key, or without any. */
  as(apiKey?: string): PublicApi;
  /** The internal API with a client certificate; `staff-operator` unless another is named. */
  internal(tls?: TlsFiles): InternalApi;
  /** A new account, with its organization, project and key. */
  signUp(name?: string): Promise<SignedUp>;
  close(): void;
};

/** Every service's clients; refusals come back decoded, as SiloErrors. `staff` opens internal ports. */
export function connectClients(
  addresses: Addresses,
  staff: TlsFiles = certificate('staff-operator'),
): Clients {
  const channels: RpcChannel[] = [];
  const open = (address: string, tls: Pick<TlsFiles, 'ca'> & Partial<TlsFiles>) => {
    const channel = createChannel(address, tls);
    channels.push(channel);
    return channel;
  };
  const { ca } = staff;
  const publicChannels = {
    org: open(addresses.org.public, { ca }),
    project: open(addresses.project.public, { ca }),
    token: open(addresses.token.public, { ca }),
    billing: open(addresses.billing.public, { ca }),
  };
  const as = (apiKey?: string) => publicApi(publicChannels, apiKey);
  return {
    addresses,
    as,
    internal: (tls = staff) =>
      internalApi({
        org: open(addresses.org.internal, tls),
        project: open(addresses.project.internal, tls),
        token: open(addresses.token.internal, tls),
        billing: open(addresses.billing.internal, tls),
      }),
    signUp: async (name = 'someone') => {
      const request = {
        email: `${name.toLowerCase().replaceAll(/\W/g, '-')}-${randomUUID()}@example.com`,
        displayName: name,
        organizationName: `${name}’s organization`,
        requestId: randomUUID(),
      };
      const created = await untilAnswered(() => as().accounts.createAccount(request));
      const { account, organization } = created;
      if (account === undefined || organization === undefined) throw new Error('an empty answer');
      return { ...created, account, organization, api: as(created.apiKey) };
    },
    close: () => {
      for (const channel of channels) channel.close();
    },
  };
}

/** A response without `propagation`, which differs each time the same request is sent. */
export function withoutPropagation<Response>(
  response: Response,
): Response & { propagation: undefined } {
  return { ...response, propagation: undefined };
}

type Channels = Record<ServiceName, RpcChannel>;

function publicApi({ org, project, token, billing }: Channels, apiKey: string | undefined) {
  const options: CallOptions = {
    refusals: true,
    deadlineMs: 45_000,
    metadata: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
  };
  return {
    accounts: connect(AccountServiceClient, org, options),
    organizations: connect(OrganizationServiceClient, org, options),
    activity: connect(ActivityServiceClient, org, options),
    projects: connect(ProjectServiceClient, project, options),
    events: connect(EventServiceClient, project, options),
    projectTokens: connect(ProjectTokenServiceClient, token, options),
    apiKeys: connect(ApiKeyServiceClient, token, options),
    billing: connect(BillingServiceClient, billing, options),
  };
}

function internalApi({ org, project, token, billing }: Channels) {
  const options = { refusals: true, deadlineMs: 45_000 };
  return {
    org: {
      facts: connect(OrgFactServiceClient, org, options),
      directory: connect(DirectoryServiceClient, org, options),
      staff: connect(OrgStaffServiceClient, org, options),
      eventLog: connect(EventLogServiceClient, org, options),
    },
    project: {
      facts: connect(ProjectFactServiceClient, project, options),
      slots: connect(SlotServiceClient, project, options),
      eventLog: connect(EventLogServiceClient, project, options),
    },
    token: {
      facts: connect(TokenFactServiceClient, token, options),
      access: connect(AccessServiceClient, token, options),
      registry: connect(RegistryServiceClient, token, options),
      secrets: connect(SecretServiceClient, token, options),
      staff: connect(TokenStaffServiceClient, token, options),
      eventLog: connect(EventLogServiceClient, token, options),
    },
    billing: {
      subscriptions: connect(SubscriptionServiceClient, billing, options),
      eventLog: connect(EventLogServiceClient, billing, options),
    },
  };
}
