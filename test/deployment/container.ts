import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeSecrets } from '@silo/admin/make-secrets.ts';
import { type Log, type OwnedProcess, startProcess } from '@silo/embedded/processes.ts';
import { probePort, waitUntil } from '@silo/embedded/wait-until.ts';
import { type ComposeService, readCompose } from './compose.ts';
import { layOut, Ports } from './container-view.ts';

const healthyWithinMs = 180_000;
const checkTimeoutMs = 20_000;

/** Paths of the servers that other projects' images contain. */
export type Binaries = { mongod?: string; natsServer?: string };

type ContainerOptions = { directory: string; binaries: Binaries; ports: Ports; log?: Log };

/** The services of docker-compose.yml, with secrets and ports in a directory. */
export async function openDeployment(
  directory: string,
): Promise<{ secrets: string; services: ComposeService[]; ports: Ports }> {
  const secrets = join(directory, 'secrets');
  await makeSecrets(secrets);
  // No process here runs as another user.
  const services = readCompose({ SILO_SECRETS: secrets, SILO_USER: '0:0' });
  const ports = await Ports.open(directory);
  await ports.choose(services);
  return { secrets, services, ports };
}

/** A container of compose as a process, and its health check. */
type Container = { process: OwnedProcess; check: () => Promise<unknown> };

/** Starts the command of a service with its environment, configuration and secrets. */
export async function startContainer(
  service: ComposeService,
  { directory, binaries, ports, log }: ContainerOptions,
): Promise<Container> {
  const translate = await layOut(service, { directory, ports });
  const programs: Record<string, { path: string | undefined; args: () => string[] }> = {
    node: { path: process.execPath, args: () => [] },
    mongod: {
      path: binaries.mongod,
      args: () => ['--bind_ip', '127.0.0.1', '--port', String(ports.of(service.name, 27017))],
    },
    'nats-server': {
      path: binaries.natsServer,
      args: () => [
        ...['--addr', '127.0.0.1', '--port', String(ports.of(service.name, 4222))],
        ...['--http_port', String(ports.of(service.name, 8222))],
      ],
    },
  };
  const [name = '', ...args] = [...service.entrypoint, ...service.command];
  const program = programs[name];
  if (program?.path === undefined)
    throw new Error(`compose: ${service.name} runs ${name}, which is not available`);
  const environment = {
    ...{ PATH: process.env.PATH, HOME: translate('/tmp') },
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(directory, 'compile-cache'),
    ...Object.fromEntries(
      Object.entries(service.environment).map(([key, value]) => [key, translate(value)]),
    ),
  };
  const workingDirectory = translate(service.workingDirectory);
  const owned = await startProcess({
    name: service.name,
    command: program.path,
    args: [...args.map(translate), ...program.args()],
    directory: join(directory, 'processes', service.name),
    logFile: join(directory, 'logs', `${service.name}.log`),
    ...{ environment, workingDirectory, log },
  });
  const [checker, ...checkArgs] = (service.healthCheck ?? []).map(translate);
  const check = async () => {
    if (checker === 'node') {
      const run = { env: environment, cwd: workingDirectory, timeout: checkTimeoutMs };
      await promisify(execFile)(process.execPath, checkArgs, run);
    } else if (checker === 'wget') {
      const answer = await fetch(checkArgs.at(-1) ?? '', {
        signal: AbortSignal.timeout(checkTimeoutMs),
      });
      if (!answer.ok) throw new Error(`it answers ${answer.status}`);
    } else {
      // mongosh is only in the image.
      await probePort(ports.of(service.name, 27017));
    }
  };
  return { process: owned, check };
}

/** Returns when the health check succeeds. */
export async function untilHealthy(
  { process: { name }, check }: Container,
  signal: AbortSignal,
): Promise<void> {
  await waitUntil(`${name} being healthy`, check, {
    ...{ withinMs: healthyWithinMs, signal, pauseMs: 500 },
  });
}
