import type { Client } from '@grpc/grpc-js';
import { BillingServiceClient } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { ActivityServiceClient } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { OrganizationServiceClient } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import {
  EventServiceClient,
  type ExportEventsRequest,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { ProjectServiceClient } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { ApiKeyServiceClient } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { ProjectTokenServiceClient } from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import { type CallOptions, connect, createChannel } from '@silo/rpc/client.ts';
import type { ServiceName } from '@silo/service/config.ts';
import { usage } from './failure.ts';
import { type Patience, patient, stream, watchedBy } from './patient.ts';
import type { Deployment } from './profiles.ts';
import { downFailure, probeOf, whyDown } from './reach.ts';

/** The public API as one caller sees it. Close it, or declare it with `using`. */
export type Api = ReturnType<typeof openApi>;

// A revocation may wait for a guard that has just died (5 s), and then some.
const deadlineMs = 20_000;
// A day, for an export as slow as its reader; a connection that is dead ends it before.
const exportMaxMs = 86_400_000;

/** Connects, without sending anything yet. */
export function openApi(
  { ca, services }: Deployment,
  apiKey: string | undefined,
  patience: Patience,
) {
  const open = (address: string) => {
    try {
      return createChannel(address, { ca });
    } catch (error) {
      throw usage(
        `The certificate authority's certificate: ${error instanceof Error ? error.message : error}`,
      );
    }
  };
  const ended = new AbortController();
  const server = (name: ServiceName) => {
    const channel = open(services[name]);
    const signal = AbortSignal.any([patience.signal, ended.signal]);
    const watched = watchedBy(
      patience,
      () => whyDown(probeOf(channel), signal),
      (why) => downFailure(name, channel.address, why, ca),
    );
    const options: CallOptions = {
      refusals: true,
      deadlineMs,
      signal: watched.signal,
      metadata: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
    };
    return { channel, patience: watched, options };
  };
  const [org, project] = [server('org'), server('project')];
  const [token, billing] = [server('token'), server('billing')];
  const of = <Generated extends Client>(
    client: Parameters<typeof connect<Generated>>[0],
    { channel, options, patience: own }: typeof org,
  ) => patient(connect(client, channel, options), own);
  const { exportEvents, ...events } = connect(EventServiceClient, project.channel, project.options);
  return {
    accounts: of(AccountServiceClient, org),
    organizations: of(OrganizationServiceClient, org),
    activity: of(ActivityServiceClient, org),
    projects: of(ProjectServiceClient, project),
    events: {
      ...patient(events, project.patience),
      exportEvents: stream(
        (request: ExportEventsRequest) => exportEvents(request, { deadlineMs: exportMaxMs }),
        project.patience,
      ),
    },
    projectTokens: of(ProjectTokenServiceClient, token),
    apiKeys: of(ApiKeyServiceClient, token),
    billing: of(BillingServiceClient, billing),
    [Symbol.dispose]: () => {
      ended.abort();
      for (const { channel } of [org, project, token, billing]) channel.close();
    },
  };
}

/** All pages of a list, as one. */
export async function everyPage<Page extends { nextPageToken: string }>(
  readPage: (page: { pageSize: number; pageToken: string }) => Promise<Page>,
): Promise<Page[]> {
  const pages: Page[] = [];
  let pageToken = '';
  do {
    const page = await readPage({ pageSize: 1_000, pageToken });
    pages.push(page);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return pages;
}
