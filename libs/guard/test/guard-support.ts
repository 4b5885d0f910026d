import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Answer, TokenAnswer } from '@silo/access/access.ts';
import type { ExecutionContext } from 'ava';
import { certificate } from '../../../test/harness/certificates.ts';
import type { SignedUp } from '../../../test/harness/clients.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import type { TestSilo } from '../../../test/harness/silo.ts';
import { type CreateGuardOptions, createGuard, type Guard } from '../create-guard.ts';

/** The addresses and credentials for a product's guard. */
export function guardOptions(silo: TestSilo): CreateGuardOptions {
  return {
    name: 'edge',
    addresses: {
      org: silo.addresses.org.internal,
      project: silo.addresses.project.internal,
      token: silo.tokenTarget,
    },
    tls: certificate('guard-edge'),
    nats: { url: silo.natsUrl, subjectPrefix: silo.natsSubjectPrefix },
  };
}

/** A guard like that of a product; it ends with the test. */
export function openGuard(
  t: ExecutionContext,
  silo: TestSilo,
  options: Partial<CreateGuardOptions> = {},
): Guard {
  const guard = createGuard({ ...guardOptions(silo), ...options });
  t.teardown(() => guard[Symbol.asyncDispose]());
  return guard;
}

export async function untilReadLease(guard: Guard): Promise<void> {
  await eventually(() => {
    if (!guard.status().hasReadLease) throw new Error(JSON.stringify(guard.status()));
  });
}

/** The answer from memory; undefined if facts must be fetched. */
export function remembered<A extends TokenAnswer | Answer>(answer: A | Promise<A>): A | undefined {
  if (!(answer instanceof Promise)) return answer;
  answer.catch(() => {}); // the answer is not awaited
  return undefined;
}

/** Waits until a guard answers from memory again. */
export async function untilRemembered<A extends TokenAnswer | Answer>(
  check: () => A | Promise<A>,
): Promise<A> {
  return await eventually(async () => {
    const known = remembered(check());
    if (known === undefined) {
      await check();
      throw new Error('it is not remembered');
    }
    return known;
  });
}

/** A new account, and a guard that remembers the token of its project. */
export async function openKnowing(
  t: ExecutionContext,
  silo: TestSilo,
  options: Partial<CreateGuardOptions> = {},
): Promise<{ ada: SignedUp; guard: Guard }> {
  const ada = await silo.signUp('Ada');
  const guard = openGuard(t, silo, options);
  await untilReadLease(guard);
  await untilRemembered(() => guard.verifyToken(ada.projectToken));
  return { ada, guard };
}

/** A process with a guard that answers lines. `imports` is a module that Node imports first. */
export function startGuardProcess(
  t: ExecutionContext,
  silo: TestSilo,
  { imports, environment = {} }: { imports?: string; environment?: NodeJS.ProcessEnv } = {},
) {
  const script = join(import.meta.dirname, 'guard-process.ts');
  const before = imports === undefined ? [] : ['--import', imports];
  const child = spawn(process.execPath, [...before, script, JSON.stringify(guardOptions(silo))], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    verify: async (token: string): Promise<string> => {
      child.stdin.write(`${token}\n`);
      return (await lines.next()).value ?? 'it has ended';
    },
  };
}
