import { resolve } from 'node:path';
import { Command } from '@commander-js/extra-typings';
import {
  MigrationStaffServiceClient,
  type WatchMigrationRequest,
} from '@silo/protos/gen/silo/project/internal/v1/migration_staff_service.ts';
import { connect } from '@silo/rpc/client.ts';
import { streamMaxMs } from './api.ts';
import type { Cli } from './cli.ts';
import { endpointsIn, findDevelopment } from './deployment.ts';
import { usage } from './failure.ts';
import { patient, stream } from './patient.ts';
import { openServer } from './server.ts';

/** The location of a deployment for staff, who call it with a certificate. */
export type StaffOptions = { dev?: true | undefined; endpoints?: string | undefined };

const help =
  '\nStaff has a certificate instead of a profile: TLS_CA, TLS_CERT and TLS_KEY, and the address of\n' +
  'the region’s project service, PROJECT_INTERNAL_ADDRESS, in the environment or in a file of endpoints.\n';

/** A command for staff, in one region. */
export function staffCommand(name: string) {
  return new Command(name)
    .option('--dev', 'the development Silo that `npm start` runs here')
    .option('--endpoints <file>', 'a file like .silo/endpoints.json; default: the environment')
    .addHelpText('after', help);
}

/** The same options for the next command, with the file name quoted for a shell. */
export function whereOf({ dev, endpoints }: StaffOptions): string {
  if (endpoints !== undefined) {
    const isPlain = /^[\w./-]+$/.test(endpoints);
    return ` --endpoints ${isPlain ? endpoints : `'${endpoints.replaceAll("'", "'\\''")}'`}`;
  }
  return dev ? ' --dev' : '';
}

/** Connects to the region that the options or the environment describe. */
export async function connectStaff(cli: Cli, options: StaffOptions) {
  const { address, ...tls } = await locate(cli, options);
  return cli.open((patience) => {
    const server = openServer({ service: 'project', address, tls }, patience);
    const { channel } = server;
    const { watchMigration, ...migrations } = connect(
      MigrationStaffServiceClient,
      channel,
      server.options,
    );
    return {
      ...patient(migrations, server.patience),
      watchMigration: stream(
        (request: WatchMigrationRequest) => watchMigration(request, { deadlineMs: streamMaxMs }),
        server.patience,
      ),
      [Symbol.dispose]: () => channel.close(),
    };
  });
}

async function locate(
  { terminal: { directory, environment } }: Cli,
  { dev, endpoints }: StaffOptions,
): Promise<{ address: string; ca: string; cert: string; key: string }> {
  const { TLS_CA: ca, TLS_CERT: cert, TLS_KEY: key } = environment;
  const { PROJECT_INTERNAL_ADDRESS: address } = environment;
  if (!dev && endpoints === undefined && address) {
    if (ca && cert && key) return { address, ca, cert, key };
    throw usage('TLS_CA, TLS_CERT and TLS_KEY of a staff certificate must be set.');
  }
  const file =
    endpoints === undefined
      ? await findDevelopment(directory, environment)
      : resolve(directory, endpoints);
  if (file === undefined) {
    throw usage(
      'No development Silo runs in this directory or above it.',
      'give --endpoints FILE, or set the variables that --help names',
    );
  }
  try {
    const { staff, services, ...found } = await endpointsIn(file);
    return { address: services.project.internal, ca: found.ca, ...staff };
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    throw usage(`${file} does not describe Silo: ${why}`);
  }
}
