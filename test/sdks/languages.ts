import { execFile, spawn } from 'node:child_process';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const probeMs = 60_000;
const installMs = 30 * 60_000;
const programMs = 10 * 60_000;

type Command = readonly [program: string, ...args: string[]];

/** How an SDK handles refusals of one batch (measured; its documentation does not say). */
type Rules = {
  /** Number of requests until it drops the batch; undefined if it retries until it is closed. */
  requestsAt401: number;
  requestsAt503: number | undefined;
  /** Whether it reports events that it drops. */
  reportsLosses: boolean;
  /** Whether it retries a batch whose connection broke. */
  sendsAgainAfterBreak: boolean;
  /** Whether its shutdown sends events that were captured just before. */
  shutdownSendsAll: boolean;
};

/** An SDK with a program that sends events with it. */
export type Language = {
  name: 'python' | 'python-gzip' | 'python-v1' | 'go' | 'rust' | 'java';
  /** The folder of the program. */
  folder: string;
  sdk: string;
  /** Succeeds if the toolchain is installed. */
  probe: readonly Command[];
  /** What to install otherwise. */
  needs: string;
  /** Installs the SDK and builds the program, in a copy of the folder. */
  install: readonly Command[];
  /** The program in that copy. */
  program(folder: string): Promise<Command>;
  rules: Rules;
  /** The name of the event that sets properties of a person. */
  identified: '$identify' | '$set';
};

export const languages: readonly Language[] = [
  python({ name: 'python', mode: 'v0' }),
  python({ name: 'python-gzip', mode: 'v0-gzip' }),
  python({ name: 'python-v1', mode: 'v1-gzip' }),
  {
    ...{ name: 'go', folder: 'go' },
    sdk: 'posthog-go 1.5.2',
    probe: [['go', 'version']],
    needs: 'Go 1.24 or newer',
    install: [['go', 'build', '-o', 'send', '.']],
    program: async (folder) => [join(folder, 'send')],
    rules: {
      requestsAt401: 10,
      requestsAt503: 10,
      reportsLosses: true,
      sendsAgainAfterBreak: true,
      shutdownSendsAll: true,
    },
    identified: '$identify',
  },
  {
    ...{ name: 'rust', folder: 'rust' },
    sdk: 'posthog-rs 0.30.0',
    probe: [['cargo', '--version']],
    needs: 'Rust with cargo',
    install: [['cargo', 'build', '--quiet']],
    program: async (folder) => [join(folder, 'target/debug/send')],
    rules: {
      requestsAt401: 1,
      requestsAt503: 3,
      reportsLosses: true,
      sendsAgainAfterBreak: true,
      shutdownSendsAll: true,
    },
    identified: '$identify',
  },
  {
    ...{ name: 'java', folder: 'java' },
    sdk: 'posthog-server 2.3.3 (Java)',
    probe: [
      ['java', '-version'],
      ['mvn', '--version'],
    ],
    needs: 'a JDK 17 or newer, and Maven',
    install: [
      [
        ...(['mvn', '--quiet', '--batch-mode', '-Dmaven.repo.local=repository'] as const),
        ...['compile', 'dependency:build-classpath', '-Dmdep.outputFile=classpath'],
      ],
    ],
    program: async (folder) => {
      const path = await readFile(join(folder, 'classpath'), 'utf8');
      return ['java', '-cp', `${join(folder, 'target/classes')}:${path.trim()}`, 'Send'];
    },
    rules: {
      requestsAt401: 1,
      requestsAt503: undefined,
      reportsLosses: false,
      sendsAgainAfterBreak: false,
      shutdownSendsAll: false,
    },
    identified: '$identify',
  },
];

/** posthog-python, whose program sends in a mode. */
function python({ name, mode }: { name: Language['name']; mode: string }): Language {
  return {
    ...{ name, folder: 'python', sdk: `posthog-python 7.91.1, ${mode}` },
    probe: [['python3', '-c', 'import ensurepip, venv']],
    needs: 'Python 3 with venv and pip',
    install: [
      ['python3', '-m', 'venv', 'venv'],
      [
        ...(['venv/bin/pip', 'install', '--quiet', '--disable-pip-version-check'] as const),
        ...['-r', 'requirements.txt'],
      ],
    ],
    program: async (folder) => [join(folder, 'venv/bin/python'), join(folder, 'send.py'), mode],
    rules: {
      requestsAt401: 1,
      requestsAt503: 4,
      reportsLosses: true,
      sendsAgainAfterBreak: true,
      shutdownSendsAll: true,
    },
    identified: '$set',
  };
}

/** Whether the toolchain of a language is installed. */
export async function isPresent({ probe }: Language): Promise<boolean> {
  try {
    for (const [program, ...args] of probe) {
      await promisify(execFile)(program, args, { timeout: probeMs });
    }
    return true;
  } catch {
    return false;
  }
}

/** Installs the SDK below a folder, isolated from all other projects. */
export async function install(
  { name, folder: from, install: steps, program }: Language,
  below: string,
) {
  const folder = join(below, name);
  await cp(join(import.meta.dirname, from), folder, { recursive: true });
  const env = { ...process.env, GOPATH: join(below, 'gopath'), GOFLAGS: '-mod=mod -modcacherw' };
  for (const [step, ...args] of steps) {
    await promisify(execFile)(step, args, { cwd: folder, env, timeout: installMs });
  }
  return await program(folder);
}

/** What a program reports when it ends. */
export type Report = { lost: number | null };

/** A program that sends events until `end`, which returns what it reports. */
export function run([program, ...args]: Command): { end(): Promise<Report> } {
  const child = spawn(program, args, { timeout: programMs, killSignal: 'SIGKILL' });
  const output: string[] = [];
  const errors: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
  child.stdin.on('error', () => {}); // it may have ended
  const ended = new Promise<Report>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const last = output.join('').trim().split('\n').at(-1) ?? '';
      if (code === 0) resolve(JSON.parse(last));
      else reject(new Error(`${program} exited with ${code}: ${errors.join('').slice(-2_000)}`));
    });
  });
  ended.catch(() => {}); // its awaiter comes later
  return {
    end: () => {
      child.stdin.end();
      return ended;
    },
  };
}
