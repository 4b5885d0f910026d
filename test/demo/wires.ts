import type { Endpoints } from '@silo/embedded/endpoints.ts';
import { MigrationStaffServiceClient } from '@silo/protos/gen/silo/project/internal/v1/migration_staff_service.ts';
import { AccessServiceClient } from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import {
  type CallOptions,
  type Connected,
  connect,
  createChannel,
  type RpcChannel,
} from '@silo/rpc/client.ts';
import type { ServiceName } from '@silo/service/config.ts';

// Services on this machine have localhost in their certificates, too; an IP address cannot be a TLS
// server name.
const channelOptions = { 'grpc.ssl_target_name_override': 'localhost' };
// A revocation may wait for a lease of a guard that has just died (5 s).
const deadlineMs = 15_000;

/** The connections of the story: the four public ports, and two internal ones as staff. */
export type Wires = Disposable & {
  org: RpcChannel;
  project: RpcChannel;
  token: RpcChannel;
  billing: RpcChannel;
  /** The options of every call in the story. */
  call: CallOptions;
  /** The access checks of other services, with the staff certificate. */
  access: Connected<AccessServiceClient>;
  /** Migrations, with the same certificate. */
  migrations: Connected<MigrationStaffServiceClient>;
};

/** Prepares the connections; sends nothing yet. */
export function openWires(endpoints: Endpoints, signal: AbortSignal): Wires {
  const { ca, services, staff } = endpoints;
  const publicPort = (name: ServiceName) =>
    createChannel(services[name].public, { ca }, channelOptions);
  const org = publicPort('org');
  const project = publicPort('project');
  const token = publicPort('token');
  const billing = publicPort('billing');
  const internalPort = (name: ServiceName) =>
    createChannel(services[name].internal, { ca, ...staff }, channelOptions);
  const [tokenInternal, projectInternal] = [internalPort('token'), internalPort('project')];
  const call = { signal, deadlineMs, refusals: true };
  return {
    org,
    project,
    token,
    billing,
    call,
    access: connect(AccessServiceClient, tokenInternal, call),
    migrations: connect(MigrationStaffServiceClient, projectInternal, call),
    [Symbol.dispose]: () => {
      const all = [org, project, token, billing, tokenInternal, projectInternal];
      for (const channel of all) channel.close();
    },
  };
}
