import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { NatsUser } from '@silo/embedded/nats-users.ts';
import { freePort } from '@silo/embedded/ports.ts';
import { startProcess } from '@silo/embedded/processes.ts';
import { probePort } from '@silo/embedded/wait-until.ts';
import type { ExecutionContext } from 'ava';
import { required } from './environment.ts';
import { eventually } from './eventually.ts';

/** Where docker-compose.yml has its files. */
export const deploy = join(import.meta.dirname, '..', '..', 'deploy');

/** What docker compose reads from `.env`. */
export async function makePasswords(): Promise<Record<string, string>> {
  const { stdout } = await promisify(execFile)(join(deploy, 'passwords.sh'));
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split('=')),
  );
}

/** A nats-server with the configuration file of compose and further arguments, ended with the test. */
export async function startComposeNats(t: ExecutionContext, ...args: string[]) {
  const directory = await mkdtemp(join(tmpdir(), 'silo-compose-'));
  const passwords = await makePasswords();
  const port = await freePort();
  const server = await startProcess({
    name: 'nats-server',
    command: required('NATS_SERVER_BINARY'),
    args: [
      ...['--config', join(deploy, 'nats-server.conf'), '--store_dir', join(directory, 'data')],
      ...['--addr', '127.0.0.1', '--port', String(port), ...args],
    ],
    directory,
    logFile: join(directory, 'nats-server.log'),
    environment: passwords,
  });
  t.teardown(async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  });
  await eventually(() => probePort(port));
  const passwordOf = (user: NatsUser) => passwords[`NATS_${user.toUpperCase()}_PASSWORD`] ?? '';
  return {
    passwordOf,
    urlOf: (user: NatsUser, { scheme = 'nats', password = passwordOf(user) } = {}) =>
      `${scheme}://${user}:${password}@127.0.0.1:${port}`,
  };
}
