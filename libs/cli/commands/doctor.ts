import { resolve } from 'node:path';
import { Command } from '@commander-js/extra-typings';
import { type Deployment, deploymentIn } from '@silo/doctor/deployment.ts';
import { findingsIn } from '@silo/doctor/findings.ts';
import { race } from '@silo/runtime/deadline.ts';
import type { Cli } from '../cli.ts';
import { endpointsIn, findDevelopment } from '../deployment.ts';
import { Answered, usage } from '../failure.ts';
import { findingBlocks } from '../render/findings.ts';

type Options = { dev?: true | undefined; endpoints?: string | undefined };

export function doctor(cli: Cli) {
  return new Command('doctor')
    .description('For operators: find out what is wrong with a deployment, and what to do.')
    .option('--dev', 'the development Silo that `npm start` runs here')
    .option('--endpoints <file>', 'a file like .silo/endpoints.json; default: the environment')
    .addHelpText(
      'after',
      '\nThe environment describes a deployment by the settings of its services: TLS_CA, TLS_CERT and\n' +
        'TLS_KEY (of a staff certificate), ORG_INTERNAL_ADDRESS and so on, MONGODB_URL, NATS_URL,\n' +
        'REGION_ADDRESSES; EDGE_INTERNAL_ADDRESS is that of edges with processes of their own.\n',
    )
    .action(async (options) => {
      const deployment = await deploymentOf(options, cli);
      // Loaded on use: the clients of MongoDB and NATS are large, and no other command needs them.
      const { lookAt } = await import('@silo/doctor/look.ts');
      const facts = await race(lookAt(deployment), cli.signal);
      const findings = findingsIn(facts);
      const healthy = findings.length === 0;
      cli.answerPlain({ healthy, time: facts.time, findings }, findingBlocks(findings, facts));
      if (!healthy) throw new Answered('unhealthy');
    });
}

async function deploymentOf({ dev, endpoints }: Options, { terminal }: Cli): Promise<Deployment> {
  const { directory, environment } = terminal;
  const given = endpoints === undefined ? undefined : resolve(directory, endpoints);
  const isDescribed = environment.ORG_INTERNAL_ADDRESS !== undefined;
  const file =
    given ?? (dev || !isDescribed ? await findDevelopment(directory, environment) : undefined);
  if (file === undefined && (dev || !isDescribed)) {
    throw usage(
      'No development Silo runs in this directory or above it.',
      'npm start, or set the variables that silo doctor --help names',
    );
  }
  const more = file === undefined ? {} : await settingsIn(file);
  const read = deploymentIn({ ...environment, ...more });
  if ('deployment' in read) return read.deployment;
  throw usage(
    `The description of the deployment is incomplete: ${read.faults.join('; ')}.`,
    'silo doctor --help',
  );
}

/** Reads an endpoints file as settings of services. */
async function settingsIn(file: string): Promise<Record<string, string>> {
  try {
    const { ca, staff, services, edgeInternal, mongodb, nats, natsCa } = await endpointsIn(file);
    return {
      ...{ TLS_CA: ca, TLS_CERT: staff.cert, TLS_KEY: staff.key },
      ...{ MONGODB_URL: mongodb, NATS_URL: nats, NATS_TLS_CA: natsCa ?? '' },
      // Empty means unset: the URLs contain the passwords.
      ...{ MONGODB_URL_FILE: '', NATS_PASSWORD_FILE: '' },
      ORG_INTERNAL_ADDRESS: services.org.internal,
      PROJECT_INTERNAL_ADDRESS: services.project.internal,
      TOKEN_INTERNAL_ADDRESS: services.token.internal,
      BILLING_INTERNAL_ADDRESS: services.billing.internal,
      EDGE_INTERNAL_ADDRESS: edgeInternal ?? '',
    };
  } catch (error) {
    throw usage(
      `${file} does not describe Silo: ${error instanceof Error ? error.message : error}`,
    );
  }
}
