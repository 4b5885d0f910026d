/**
 * `npm run upgrade`: starts the last release, two processes of each service, and replaces them one
 * by one by those of this checkout, while people and SDKs work. Then it goes back to the last
 * release the same way, as an operator who rolls back does, and replaces it for good. Nothing may
 * fail beyond a repeated UNAVAILABLE, access that ended is refused at once by the guards of both
 * releases, and the invariants hold at the end: what the last release wrote after the way back is
 * migrated, too.
 *
 *   npm run upgrade                    from the commit that last changed protos/released.binpb
 *   npm run upgrade -- --from COMMIT   from another one
 */
import { execFile } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import type { ServiceName } from '@silo/service/config.ts';
import { obtainBinaries } from '../../harness/servers.ts';
import { settledViolations } from '../../invariants.ts';
import { processesOf } from '../fault-silo.ts';
import { startReplicatedSilo } from '../replicated-silo.ts';
import { Traffic } from '../traffic.ts';

/** Includes the time for `npm ci`, which installs everything. */
const commandTimeoutMs = 15 * 60_000;
const here = resolve(import.meta.dirname, '..', '..', '..');
const { values } = parseArgs({ options: { from: { type: 'string' } } });

Object.assign(process.env, await obtainBinaries((line) => console.log(line)));
const from = values.from ?? (await git('log', '-1', '--format=%H', '--', 'protos/released.binpb'));
const directory = await mkdtemp(join(tmpdir(), 'silo-upgrade-'));
try {
  const release = join(directory, 'release');
  console.log(`the last release is ${from.slice(0, 12)}`);
  await git('worktree', 'add', '--detach', release, from);
  try {
    await run(process.execPath, ['libs/embedded/prestart.mjs'], release);
    const failures = await upgrade(release);
    for (const failure of failures) console.error(failure);
    console.log(failures.length === 0 ? 'nothing failed' : `${failures.length} failures`);
    if (failures.length > 0) process.exitCode = 1;
  } finally {
    await git('worktree', 'remove', '--force', release);
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}

async function upgrade(release: string): Promise<string[]> {
  const mains = join(directory, 'mains');
  await mkdir(mains);
  const mainOf = (id: string) => join(mains, `${id}.mjs`);
  const serviceOf = new Map<string, ServiceName>();
  const use = (checkout: string, id: string) => {
    const main = join(checkout, 'services', serviceOf.get(id) ?? '', 'main.ts');
    writeFileSync(mainOf(id), `await import(${JSON.stringify(pathToFileURL(main).href)});\n`);
  };
  const hasInboxes = existsSync(join(release, 'libs', 'events', 'nats-options.ts'));
  await using silo = await startReplicatedSilo({
    // Older services cannot publish as a user whose subscriptions are restricted to its own inbox.
    ...(!hasInboxes && { natsUser: 'admin' }),
    main: ({ id, service }) => {
      serviceOf.set(id, service);
      use(release, id);
      return mainOf(id);
    },
  });
  const captures = existsSync(join(release, 'services', 'project', 'edge'));
  await using traffic = await Traffic.start(silo, { captures });
  const failures: string[] = [];
  try {
    await traffic.goesOn();
    for (const checkout of [here, release, here]) {
      for (const each of processesOf(silo)) {
        use(checkout, each.name);
        await each.restart();
        await traffic.goesOn();
        console.log(`${each.name} is ${checkout === here ? 'new' : 'of the last release again'}`);
      }
    }
    await traffic.stop();
    console.log(`${JSON.stringify(traffic.rounds)} rounds, ${traffic.repeated} calls repeated`);
    const violations = await settledViolations(silo);
    failures.push(...violations.map((violation) => JSON.stringify(violation)));
  } catch (error) {
    // The failures of callers say more than a wait that failed.
    failures.push(String(error));
  }
  return [...traffic.failures, ...silo.failures.map(({ message }) => message), ...failures];
}

async function git(...args: string[]): Promise<string> {
  return await run('git', args, here);
}

async function run(command: string, args: string[], cwd: string): Promise<string> {
  const limits = { timeout: commandTimeoutMs, maxBuffer: 16 * 1_024 * 1_024 };
  const { stdout } = await promisify(execFile)(command, args, { cwd, ...limits });
  return stdout.trim();
}
