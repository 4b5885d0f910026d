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
import { MigrationPeerServiceClient } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { MigrationStaffServiceClient } from '@silo/protos/gen/silo/project/internal/v1/migration_staff_service.ts';
import { RegionDirectoryServiceClient } from '@silo/protos/gen/silo/project/internal/v1/region_directory_service.ts';
import { SlotServiceClient } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import { EventServiceClient } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { MigrationServiceClient } from '@silo/protos/gen/silo/project/v1/migration_service.ts';
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
import { steady } from './steady.ts';

/** The addresses of the services of one deployment. */
export type Addresses = Record<ServiceName, { public: string; internal: string }>;

/** The public API for one caller. */
export type PublicApi = ReturnType<typeof publicApi>;

/** The internal API for the holder of one certificate. */
type InternalApi = ReturnType<typeof internalApi>;

/** An account that signed up. */
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
  /** The same, but each call is sent once, whatever `isSteady` says. */
  once(apiKey?: string): PublicApi;
  /** The internal API with a client certificate; default `staff-operator`. */
  internal(tls?: TlsFiles): InternalApi;
  /** A new account, with its organization, project and key. */
  signUp(name?: string): Promise<SignedUp>;
  close(): void;
};

/**
 * Clients of every service; refusals are decoded to SiloErrors. `staff` is the certificate for
 * internal ports. With `isSteady`, calls are repeated if no response came in time (`steady.ts`).
 */
export function connectClients(
  addresses: Addresses,
  staff: TlsFiles = certificate('staff-operator'),
  { isSteady = false } = {},
): Clients {
  const clientOf = isSteady ? steadyClient : connect;
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
  const as = (apiKey?: string) => publicApi(publicChannels, apiKey, clientOf);
  return {
    addresses,
    as,
    once: (apiKey) => publicApi(publicChannels, apiKey),
    internal: (tls = staff) => {
      const internalChannels = {
        org: open(addresses.org.internal, tls),
        project: open(addresses.project.internal, tls),
        token: open(addresses.token.internal, tls),
        billing: open(addresses.billing.internal, tls),
      };
      return internalApi(internalChannels, clientOf);
    },
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

const steadyClient: typeof connect = (generated, channel, options) =>
  steady(connect(generated, channel, options));

function publicApi(
  { org, project, token, billing }: Channels,
  apiKey: string | undefined,
  clientOf = connect,
) {
  const options: CallOptions = {
    refusals: true,
    deadlineMs: 45_000,
    metadata: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
  };
  return {
    accounts: clientOf(AccountServiceClient, org, options),
    organizations: clientOf(OrganizationServiceClient, org, options),
    activity: clientOf(ActivityServiceClient, org, options),
    projects: clientOf(ProjectServiceClient, project, options),
    events: clientOf(EventServiceClient, project, options),
    migrations: clientOf(MigrationServiceClient, project, options),
    projectTokens: clientOf(ProjectTokenServiceClient, token, options),
    apiKeys: clientOf(ApiKeyServiceClient, token, options),
    billing: clientOf(BillingServiceClient, billing, options),
  };
}

function internalApi({ org, project, token, billing }: Channels, clientOf: typeof connect) {
  const options = { refusals: true, deadlineMs: 45_000 };
  return {
    org: {
      facts: clientOf(OrgFactServiceClient, org, options),
      directory: clientOf(DirectoryServiceClient, org, options),
      staff: clientOf(OrgStaffServiceClient, org, options),
      eventLog: clientOf(EventLogServiceClient, org, options),
    },
    project: {
      facts: clientOf(ProjectFactServiceClient, project, options),
      slots: clientOf(SlotServiceClient, project, options),
      migrations: clientOf(MigrationStaffServiceClient, project, options),
      migrationPeer: clientOf(MigrationPeerServiceClient, project, options),
      directory: clientOf(RegionDirectoryServiceClient, project, options),
      eventLog: clientOf(EventLogServiceClient, project, options),
    },
    token: {
      facts: clientOf(TokenFactServiceClient, token, options),
      access: clientOf(AccessServiceClient, token, options),
      registry: clientOf(RegistryServiceClient, token, options),
      secrets: clientOf(SecretServiceClient, token, options),
      staff: clientOf(TokenStaffServiceClient, token, options),
      eventLog: clientOf(EventLogServiceClient, token, options),
    },
    billing: {
      subscriptions: clientOf(SubscriptionServiceClient, billing, options),
      eventLog: clientOf(EventLogServiceClient, billing, options),
    },
  };
}
