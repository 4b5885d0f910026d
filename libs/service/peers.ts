import { SubscriptionServiceClient } from '@silo/protos/gen/silo/billing/internal/v1/subscription_service.ts';
import { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { DirectoryServiceClient } from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import { FactServiceClient as OrgFactServiceClient } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import { FactServiceClient as ProjectFactServiceClient } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import { SlotServiceClient } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import { DirectoryServiceClient as TokenDirectoryServiceClient } from '@silo/protos/gen/silo/token/internal/v1/directory_service.ts';
import { FactServiceClient as TokenFactServiceClient } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import { RegistryServiceClient } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import { SecretServiceClient } from '@silo/protos/gen/silo/token/internal/v1/secret_service.ts';
import { type CallOptions, connect, createChannel } from '@silo/rpc/client.ts';
import type { ClientTls } from '@silo/rpc/tls.ts';
import type { ServiceName } from './config.ts';

/** Waits briefly for a peer that restarts, so that the caller of this service gets no error. */
const patient: CallOptions = { patient: true };
/**
 * A peer's refusal of the request (NOT_READY, for example) is passed to the caller of this service.
 */
const passRefusals: CallOptions = { ...patient, passRefusals: true };
const repeatable: CallOptions = { ...patient, retry: true };

/** Internal clients of all four services, over mTLS. */
export type Peers = ReturnType<typeof connectPeers>['peers'];

/**
 * Creates lazy connections to the internal ports, and waits within a call's deadline for ports that
 * are not up yet.
 */
export function connectPeers(
  addresses: Record<ServiceName, string>,
  tls: ClientTls,
  region: string,
) {
  const open = (name: ServiceName) => createChannel(addresses[name], tls, {}, { region, name });
  const [org, project, token, billing] = [
    open('org'),
    open('project'),
    open('token'),
    open('billing'),
  ];
  const peers = {
    org: {
      facts: connect(OrgFactServiceClient, org, repeatable),
      directory: connect(DirectoryServiceClient, org, { ...passRefusals, ...repeatable }),
      eventLog: connect(EventLogServiceClient, org, patient),
    },
    project: {
      facts: connect(ProjectFactServiceClient, project, repeatable),
      slots: connect(SlotServiceClient, project, passRefusals),
      eventLog: connect(EventLogServiceClient, project, patient),
    },
    token: {
      facts: connect(TokenFactServiceClient, token, repeatable),
      registry: connect(RegistryServiceClient, token, patient),
      secrets: connect(SecretServiceClient, token, passRefusals),
      directory: connect(TokenDirectoryServiceClient, token),
      eventLog: connect(EventLogServiceClient, token, patient),
    },
    billing: {
      subscriptions: connect(SubscriptionServiceClient, billing, passRefusals),
      eventLog: connect(EventLogServiceClient, billing, patient),
    },
  };
  const close = () => {
    for (const channel of [org, project, token, billing]) channel.close();
  };
  return { peers, close, [Symbol.dispose]: close };
}
