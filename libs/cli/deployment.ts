import { access, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type Endpoints, endpointsFile } from '@silo/embedded/endpoints.ts';
import { type ServiceName, serviceNames } from '@silo/service/config.ts';
import { usage } from './failure.ts';
import type { Deployment } from './profiles.ts';

/** Options of `login` and `signup` that locate a deployment. */
export type DeploymentOptions = {
  dev?: true | undefined;
  endpoints?: string | undefined;
  region?: string | undefined;
  ca?: string | undefined;
  address?: string[] | undefined;
};

/** The deployment that the options name; undefined if they name none. */
export async function deploymentOf(
  options: DeploymentOptions,
  { directory, environment }: { directory: string; environment: NodeJS.ProcessEnv },
): Promise<Deployment | undefined> {
  if (options.dev) {
    const file = await findDevelopment(directory, environment);
    if (file === undefined) {
      throw usage('No development Silo runs in this directory or above it.', 'npm start');
    }
    return readEndpoints(file);
  }
  if (options.endpoints !== undefined) return readEndpoints(resolve(directory, options.endpoints));
  const { region, ca, address } = options;
  if (region === undefined && ca === undefined && address === undefined) return undefined;
  if (region === undefined || ca === undefined || address === undefined) {
    throw usage('Give --region, --ca and --address together, or --endpoints, or --dev.');
  }
  return { region, ca: resolve(directory, ca), services: addressesOf(address) };
}

/** The endpoints file of the development Silo that runs in this directory or above it. */
export async function findDevelopment(
  directory: string,
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const named = environment.SILO_DIRECTORY;
  if (named) return existing(endpointsFile(resolve(directory, named)));
  for (let at = directory; ; at = dirname(at)) {
    const found = await existing(endpointsFile(join(at, '.silo')));
    if (found !== undefined || at === dirname(at)) return found;
  }
}

async function existing(file: string): Promise<string | undefined> {
  return access(file).then(
    () => file,
    () => undefined,
  );
}

/**
 * Reads an endpoints file as `npm start` writes it. Rejects with a reason for people if it cannot
 * be read.
 */
export async function endpointsIn(file: string): Promise<Endpoints> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new Error('there is no such file') : error;
  });
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('it is not a JSON document');
  }
}

/** Only the public addresses of the services are needed. */
async function readEndpoints(file: string): Promise<Deployment> {
  try {
    const { region, ca, services } = await endpointsIn(file);
    const addresses = serviceNames.map((name) => `${name}=${services[name].public}`);
    return { region, ca: resolve(dirname(file), ca), services: addressesOf(addresses) };
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    throw usage(
      `${file} has no addresses of Silo: ${why}.`,
      '--endpoints with the .silo/endpoints.json of a Silo, or --dev where one runs',
    );
  }
}

const addressPattern = /^(\w+)=(\S+:\d{1,5})$/;

function addressesOf(given: readonly string[]): Record<ServiceName, string> {
  const found = new Map<string, string>();
  for (const text of given) {
    const [, service = '', address = ''] = addressPattern.exec(text) ?? [];
    if (!serviceNames.some((name) => name === service)) {
      throw usage(
        `"${text}" is not an address: write SERVICE=HOST:PORT, SERVICE one of ${serviceNames.join(', ')}.`,
      );
    }
    found.set(service, address);
  }
  const of = (name: ServiceName) => {
    const address = found.get(name);
    if (address === undefined)
      throw usage(`The address of ${name} is missing: --address ${name}=HOST:PORT`);
    return address;
  };
  return { org: of('org'), project: of('project'), token: of('token'), billing: of('billing') };
}
