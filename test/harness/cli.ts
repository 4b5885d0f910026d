import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import type { ExecutionContext } from 'ava';
import { certificate } from './certificates.ts';
import type { Addresses, SignedUp } from './clients.ts';
import type { Outcome } from './command.ts';
import type { TestSilo } from './silo.ts';
import { openTerminal, type TerminalRun } from './terminal.ts';

const command = resolve(import.meta.dirname, '../../libs/cli/silo.mjs');
const timeoutMs = 300_000;

/** One user of the `silo` command: a home directory with a Silo. */
export type CliHome = AsyncDisposable & {
  /** Working directory of the command; its `.silo/endpoints.json` has the addresses of the Silo. */
  directory: string;
  /** Directory of the stored profiles. */
  configDirectory: string;
  /** Runs it without a terminal. */
  run(args: string[], options?: RunOptions): Promise<Outcome>;
  /** Runs it with `--json`; requires success, and returns the document. */
  json(args: string[], input?: string): Promise<Json>;
  /** Runs it in a terminal, by default of 140 columns. */
  inTerminal(args: string[], environment?: Record<string, string>, columns?: number): TerminalRun;
};

type RunOptions = {
  input?: string;
  environment?: Record<string, string>;
  /** Called when the command has started. */
  onStart?: (kill: (signal: NodeJS.Signals) => void) => void;
};

// The result of JSON.parse, for tests that read parts of it.
type Json = { readonly [key: string]: Json | undefined };

/**
 * A home for one user. `addresses` are those of its development Silo, `staff` is its certificate,
 * and `servers` are the URLs of its MongoDB and NATS, if a command needs them.
 */
export async function openCliHome(
  addresses: Addresses,
  { ca, cert, key }: TlsFiles = certificate('staff-operator'),
  servers: { mongodb?: string; nats?: string } = {},
): Promise<CliHome> {
  const directory = await mkdtemp(join(tmpdir(), 'silo-cli-'));
  const configDirectory = join(directory, 'config');
  const endpoints = { region: 'us', ca, staff: { cert, key }, services: addresses, ...servers };
  await mkdir(join(directory, '.silo'));
  await writeFile(join(directory, '.silo', 'endpoints.json'), JSON.stringify(endpoints));
  const environment = (more: Record<string, string> = {}) => ({
    PATH: process.env.PATH ?? '',
    HOME: directory,
    XDG_CONFIG_HOME: configDirectory,
    TERM: 'xterm-256color',
    ...more,
  });
  const run = (args: string[], options: RunOptions = {}) =>
    runCommand(args, { directory, options, environment: environment(options.environment) });
  return {
    directory,
    configDirectory,
    run,
    json: async (args, input) => {
      const outcome = await run([...args, '--json'], input === undefined ? {} : { input });
      if (outcome.code !== 0) throw new Error(`silo ${args.join(' ')}: ${outcome.errors}`);
      return JSON.parse(outcome.output);
    },
    inTerminal: (args, more, columns) =>
      openTerminal(process.execPath, [command, ...args], {
        directory,
        environment: environment(more),
        ...(columns && { columns }),
      }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

type Test = ExecutionContext<{ silo: TestSilo }>;

/** A home without a profile, removed after the test. */
export async function emptyHome(t: Test): Promise<CliHome> {
  const home = await openCliHome(t.context.silo.addresses);
  t.teardown(async () => home[Symbol.asyncDispose]());
  return home;
}

/** A new account, and a home that is signed in with its key. */
export async function signedInHome(
  t: Test,
  name = 'Ada',
): Promise<{ cli: CliHome; person: SignedUp }> {
  const [cli, person] = await Promise.all([emptyHome(t), t.context.silo.signUp(name)]);
  await cli.json(['login', '--dev'], person.apiKey);
  return { cli, person };
}

type Where = { directory: string; environment: Record<string, string> };

async function runCommand(
  args: string[],
  { directory, environment, options }: Where & { options: RunOptions },
): Promise<Outcome> {
  const child = spawn(process.execPath, [command, ...args], {
    cwd: directory,
    env: environment,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<number | null>((done, fail) => {
    child.once('error', fail);
    child.once('close', done);
  });
  child.stdin.on('error', () => {}); // a command that does not read its input may end first
  child.stdin.end(options.input ?? '');
  options.onStart?.((signal) => child.kill(signal));
  const [code, output, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, output, errors };
}
