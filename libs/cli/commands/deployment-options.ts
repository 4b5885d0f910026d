import { Command } from '@commander-js/extra-typings';
import type { Cli } from '../cli.ts';
import { type DeploymentOptions, deploymentOf, findDevelopment } from '../deployment.ts';
import { usage } from '../failure.ts';
import type { Deployment } from '../profiles.ts';

/** A command with options for the location of a deployment. */
export function commandWithDeployment(name: string) {
  return new Command(name)
    .option('--dev', 'the development Silo that `npm start` runs here; its profile is called `dev`')
    .option('--endpoints <file>', 'a file like .silo/endpoints.json, with the addresses of Silo')
    .option('--region <region>', 'the region, such as us')
    .option('--ca <file>', 'the certificate authority’s certificate, PEM')
    .option(
      '--address <service=host:port...>',
      'each service’s public port: org, project, token, billing',
    );
}

/**
 * The deployment that the options name; else that of the profile; else a development Silo that runs
 * here.
 */
export async function chooseDeployment(
  { terminal, profiles, globals, note }: Cli,
  options: DeploymentOptions,
): Promise<{ name: string; deployment: Deployment }> {
  const { directory, environment } = terminal;
  const name = globals().profile ?? environment.SILO_PROFILE;
  const given = await deploymentOf(options, terminal);
  if (given !== undefined) {
    return { name: name || (options.dev ? 'dev' : given.region), deployment: given };
  }
  const present = name || (await profiles.current());
  const profile = present === undefined ? undefined : await profiles.read(present);
  if (present !== undefined && profile !== undefined) {
    const { region, ca, services } = profile;
    return { name: present, deployment: { region, ca, services } };
  }
  const found = await findDevelopment(directory, environment);
  const deployment = found && (await deploymentOf({ dev: true }, terminal));
  if (!deployment) {
    throw usage(
      'The address of Silo is not known.',
      'give --endpoints FILE, or --region, --ca and --address',
    );
  }
  note(`Using the development Silo of ${found}.`);
  return { name: name || 'dev', deployment };
}
