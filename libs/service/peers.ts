import type { SubscriptionServiceClient } from '@silo/protos/gen/silo/billing/internal/v1/subscription_service.ts';
import type { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import type { DirectoryServiceClient } from '@silo/protos/gen/silo/org/internal/v1/directory_service.ts';
import type { FactServiceClient as OrgFactServiceClient } from '@silo/protos/gen/silo/org/internal/v1/fact_service.ts';
import type { FactServiceClient as ProjectFactServiceClient } from '@silo/protos/gen/silo/project/internal/v1/fact_service.ts';
import type { SlotServiceClient } from '@silo/protos/gen/silo/project/internal/v1/slot_service.ts';
import type { FactServiceClient as TokenFactServiceClient } from '@silo/protos/gen/silo/token/internal/v1/fact_service.ts';
import type { SecretServiceClient } from '@silo/protos/gen/silo/token/internal/v1/secret_service.ts';
import { type Connected, connect, createChannel } from '@silo/rpc/client.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';

/** Internal clients of all four services, over mTLS. */
export type Peers = {
  org: {
    facts: Connected<OrgFactServiceClient>;
    directory: Connected<DirectoryServiceClient>;
    eventLog: Connected<EventLogServiceClient>;
  };
  project: {
    facts: Connected<ProjectFactServiceClient>;
    slots: Connected<SlotServiceClient>;
    eventLog: Connected<EventLogServiceClient>;
  };
  token: {
    facts: Connected<TokenFactServiceClient>;
    secrets: Connected<SecretServiceClient>;
    eventLog: Connected<EventLogServiceClient>;
  };
  billing: {
    subscriptions: Connected<SubscriptionServiceClient>;
    eventLog: Connected<EventLogServiceClient>;
  };
};
