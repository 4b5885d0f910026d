import { BillingServiceClient } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { ActivityServiceClient } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { OrganizationServiceClient } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import {
  EventServiceClient,
  type ExportEventsRequest,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import {
  MigrationServiceClient,
  type WatchMigrationRequest,
} from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import { ProjectServiceClient } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { ApiKeyServiceClient } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { ProjectTokenServiceClient } from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import { connect } from '@silo/rpc/client.ts';
import type { ServiceName } from '@silo/service/config.ts';
import { type Patience, patient, stream } from './patient.ts';
import type { Deployment } from './profiles.ts';
import { methodsOf, openServer } from './server.ts';

/** The public API as one caller sees it. Close it, or declare it with `using`. */
export type Api = ReturnType<typeof openApi>;

/** One day, because the reader sets the pace of an export. A dead connection ends it sooner. */
export const streamMaxMs = 86_400_000;

/** Prepares the connections; sends nothing yet. */
export function openApi(
  { ca, services }: Deployment,
  apiKey: string | undefined,
  patience: Patience,
) {
  const ended = new AbortController();
  const signal = AbortSignal.any([patience.signal, ended.signal]);
  const server = (service: ServiceName) =>
    openServer(
      { service, address: services[service], tls: { ca }, apiKey },
      { ...patience, signal },
    );
  const [org, project] = [server('org'), server('project')];
  const [token, billing] = [server('token'), server('billing')];
  const { exportEvents, ...events } = connect(EventServiceClient, project.channel, project.options);
  const { watchMigration, ...migrations } = connect(
    MigrationServiceClient,
    project.channel,
    project.options,
  );
  return {
    accounts: methodsOf(AccountServiceClient, org),
    organizations: methodsOf(OrganizationServiceClient, org),
    activity: methodsOf(ActivityServiceClient, org),
    projects: methodsOf(ProjectServiceClient, project),
    events: {
      ...patient(events, project.patience),
      exportEvents: stream(
        (request: ExportEventsRequest) => exportEvents(request, { deadlineMs: streamMaxMs }),
        project.patience,
      ),
    },
    migrations: {
      ...patient(migrations, project.patience),
      watchMigration: stream(
        (request: WatchMigrationRequest) => watchMigration(request, { deadlineMs: streamMaxMs }),
        project.patience,
      ),
    },
    projectTokens: methodsOf(ProjectTokenServiceClient, token),
    apiKeys: methodsOf(ApiKeyServiceClient, token),
    billing: methodsOf(BillingServiceClient, billing),
    [Symbol.dispose]: () => {
      ended.abort();
      for (const { channel } of [org, project, token, billing]) channel.close();
    },
  };
}

/** All pages of a list, joined. */
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
