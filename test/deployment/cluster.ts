// Runs for `npm run cluster -- --secure`: docker-compose.yml as processes of this machine.
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { obtain } from '@silo/embedded/obtain.ts';
import { startSecureCluster } from './secure-cluster.ts';

const { values } = parseArgs({
  options: { secure: { type: 'boolean' }, directory: { type: 'string' } },
});
if (!values.secure) {
  console.error('usage: npm run cluster -- --secure [--directory DIRECTORY]');
  process.exit(2);
}
const directory = resolve(values.directory ?? join('.silo', 'cluster'));
const log = (line: string) => console.log(line);
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => stop.abort(new Error(`stopped by ${name}`)));
}
const stopped = new Promise<undefined>((resolveStopped) => {
  stop.signal.addEventListener('abort', () => resolveStopped(undefined));
});

try {
  const [mongod, natsServer] = await Promise.all([
    obtain('mongod', { log, signal: stop.signal }),
    obtain('nats-server', { log, signal: stop.signal }),
  ]);
  const binaries = { mongod: mongod.path, natsServer: natsServer.path };
  await using cluster = await startSecureCluster({ directory, binaries, log, signal: stop.signal });
  const { services, edge } = cluster.endpoints;
  for (const [name, address] of Object.entries(services))
    log(`  ${name.padEnd(8)} ${address.public}`);
  log(`  edge     ${edge}`);
  log(`Try it: SILO_DIRECTORY=${directory} npm run demo. Ctrl-C stops it.`);
  const failure = await Promise.race([cluster.failure, stopped]);
  if (failure !== undefined) throw failure;
} catch (error) {
  if (!stop.signal.aborted) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
