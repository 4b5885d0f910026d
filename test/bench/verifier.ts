/**
 * Measures a guard with many cached tokens in this process, and sends the results to its parent. A
 * real guard on real NATS; functions replace its facts' owners and registry, because a million
 * projects cannot be created here.
 */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { waitUntil } from '@silo/embedded/wait-until.ts';
import { connectNats } from '@silo/events/connect.ts';
import { tokenRefused } from '@silo/guard/core/memory.ts';
import { Guard } from '@silo/guard/guard.ts';
import type { GuardLinks } from '@silo/guard/links.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { hashOf, newProjectToken } from '@silo/tokens/secrets.ts';
import { median } from './measure.ts';
import type { Measured } from './row.ts';

/** `nats` is the URL of a server; `tokens` is the number of remembered tokens. */
export type VerifierOptions = { nats: string; tokens: number };

const rounds = 9;
const warmUpRounds = 3;
const callsPerRound = 200_000;
const fillsAtOnce = 500;
/** With fewer, the noise of the heap exceeds the memory of the tokens. */
const weighedMin = 1_000;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

async function measure({ nats: url, tokens: count }: VerifierOptions): Promise<Measured> {
  const log = silentLogger();
  await using nats = connectNats({ url, name: 'bench', log });
  const sizes = { factsMax: count, unknownMax: 1, fillsMax: fillsAtOnce * 2 };
  await using guard = new Guard({ name: 'bench', links: localLinks(nats), sizes, log });
  await waitUntil('a view', async () => requireView(guard), { withinMs: 10_000 });
  const tokens = new Tokens(count);
  const emptyBytes = await heapBytes();
  await fill(guard, tokens);
  const bytesPerToken = ((await heapBytes()) - emptyBytes) / count;
  const bare = tokens.projectIds();
  const measured: Rates[] = [];
  const floor: number[] = [];
  for (let round = -warmUpRounds; round < rounds; round++) {
    const rates = await verifyAll(guard, tokens);
    const bareRate = lookUpAll(bare, tokens);
    if (round < 0) continue;
    measured.push(rates);
    floor.push(bareRate);
  }
  const byCore = measured.map(({ perCoreSecond }) => perCoreSecond);
  const byClock = median(measured.map(({ perSecond }) => perSecond));
  const spread = `rounds ${Math.min(...byCore).toFixed(0)} to ${Math.max(...byCore).toFixed(0)}`;
  const weight = count < weighedMin ? '' : `, ${bytesPerToken.toFixed(0)} bytes per cached token`;
  return {
    value: median(byCore),
    floor: median(floor),
    remark: `${spread}, by the clock ${byClock.toFixed(0)}${weight}`,
  };
}

type Verified = ReturnType<Guard['verifyToken']>;

/** Rates by the thread's CPU time, and by the clock, which other work of the machine affects. */
type Rates = { perCoreSecond: number; perSecond: number };

/**
 * One round: the guard has renewed its read lease before it, and no other turn comes in between.
 */
async function verifyAll(guard: Guard, tokens: Tokens): Promise<Rates> {
  const { fresh, ends } = tokens.draw(callsPerRound);
  const answers: Verified[] = Array(callsPerRound).fill(tokenRefused);
  collectGarbage();
  await pause(1); // a renewal that is due runs first
  requireView(guard);
  const { signal } = new AbortController();
  const startMs = performance.now();
  const before = process.threadCpuUsage();
  for (let call = 0; call < callsPerRound; call++) {
    answers[call] = guard.verifyToken(fresh[call] ?? '', signal);
  }
  const { user, system } = process.threadCpuUsage(before);
  const tookMs = performance.now() - startMs;
  requireOwn(answers.map(requireFromMemory), ends);
  return {
    perCoreSecond: callsPerRound / ((user + system) / 1_000_000),
    perSecond: callsPerRound / (tookMs / 1_000),
  };
}

/** Calls per second of one core that a bare Map answers. */
function lookUpAll(bare: ReadonlyMap<string, string>, tokens: Tokens): number {
  const { fresh, ends } = tokens.draw(callsPerRound);
  const found: string[] = Array(callsPerRound).fill('');
  collectGarbage();
  const before = process.threadCpuUsage();
  for (let call = 0; call < callsPerRound; call++) {
    found[call] = bare.get(fresh[call] ?? '') ?? '';
  }
  const { user, system } = process.threadCpuUsage(before);
  requireOwn(found, ends);
  return callsPerRound / ((user + system) / 1_000_000);
}

/** The project in the answer for a token, which must come from memory. */
function requireFromMemory(answer: Verified): string {
  if (!('allowed' in answer) || !answer.allowed) throw new Error('not answered from memory');
  return answer.projectId;
}

/** Done after the clock has stopped: the caller checks the answers. */
function requireOwn(projectIds: readonly string[], ends: number): void {
  const seen = projectIds.reduce((sum, projectId) => sum + lastCharacter(projectId), 0);
  if (seen !== ends) throw new Error('the answers are of other projects');
}

async function fill(guard: Guard, tokens: Tokens): Promise<void> {
  const { signal } = new AbortController();
  for (let from = 0; from < tokens.count; from += fillsAtOnce) {
    const until = Math.min(tokens.count, from + fillsAtOnce);
    const some = Array.from({ length: until - from }, (_, index) => tokens.at(from + index));
    await Promise.all(some.map((token) => guard.verifyToken(token, signal)));
    // The first answer from memory is built from facts; the later ones are warm.
    for (const token of some) requireFromMemory(guard.verifyToken(token, signal));
    // So that the guard's timers run in between: it keeps renewing its read lease.
    await nextTurn();
  }
  const { facts } = guard.status();
  if (facts < tokens.count) throw new Error(`the guard remembers only ${facts} facts`);
}

/** Tokens as bytes, allocated before anything is measured: each look-up makes a new string. */
class Tokens {
  readonly count: number;
  readonly #bytes: Buffer;
  readonly #lengthBytes: number;
  /** The last character of each token's project. */
  readonly #ends: Uint8Array;

  constructor(count: number) {
    const sample = newProjectToken();
    this.count = count;
    this.#lengthBytes = sample.length;
    this.#bytes = Buffer.alloc(count * sample.length);
    this.#ends = new Uint8Array(count);
    for (let index = 0; index < count; index++) {
      const token = newProjectToken();
      this.#bytes.write(token, index * this.#lengthBytes, 'latin1');
      this.#ends[index] = lastCharacter(projectIdOf(hashOf(token)));
    }
  }

  at(index: number): string {
    const start = index * this.#lengthBytes;
    return this.#bytes.toString('latin1', start, start + this.#lengthBytes);
  }

  /** Each token's project, in a bare Map. */
  projectIds(): Map<string, string> {
    const found = new Map<string, string>();
    for (let index = 0; index < this.count; index++) {
      const token = this.at(index);
      found.set(token, projectIdOf(hashOf(token)));
    }
    return found;
  }

  /** New strings of random tokens, and the sum of their projects' last characters. */
  draw(calls: number): { fresh: string[]; ends: number } {
    let ends = 0;
    const fresh = Array.from({ length: calls }, () => {
      const index = Math.floor(Math.random() * this.count);
      ends += this.#ends[index] ?? 0;
      return this.at(index);
    });
    return { fresh, ends };
  }
}

/** Each token has its own project, and each project its own organization. */
function projectIdOf(tokenHash: Uint8Array): string {
  return `prj_${Buffer.from(tokenHash).toString('hex').slice(0, 26)}`;
}

function lastCharacter(text: string): number {
  return text.charCodeAt(text.length - 1);
}

function localLinks(nats: GuardLinks['nats']): GuardLinks {
  const head = { incarnation: 'bench', sequence: 0 };
  const log = { head: async () => head, read: async () => ({ events: [], head }) };
  // As long as possible: a round takes no longer than that on a busy machine.
  const numbers = { leaseMs: 20_000, renewMs: 6_000, driftShare: 0.01 };
  const none = async () => undefined;
  return {
    leases: {
      acquire: async () => ({ numbers, keys: undefined }),
      renew: async () => ({ answer: { result: 'granted', numbers }, keys: undefined }),
      release: none,
      reportKeyUse: none,
    },
    logs: { org: log, project: log, token: log },
    factReader: {
      token: async (tokenHash) => ({ projectId: projectIdOf(tokenHash) }),
      project: async (projectId) => ({
        organizationId: projectId.replace('prj', 'org_us'),
        state: ProjectState.PROJECT_STATE_ACTIVE,
        capture: undefined,
        migratedTo: undefined,
      }),
      ...{ key: none, organization: none, membership: none },
    },
    // There are no other events with this prefix.
    ...{ nats, subjectPrefix: 'bench.v1' },
  };
}

function requireView(guard: Guard): void {
  if (!guard.status().hasReadLease) throw new Error('there is none');
}

/**
 * The heap and the buffers in use after garbage collection: the timers of factReader last a few
 * seconds.
 */
async function heapBytes(): Promise<number> {
  let leastBytes = Number.POSITIVE_INFINITY;
  return await waitUntil(
    'the heap being at rest',
    async () => {
      collectGarbage();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      const bytes = heapUsed + arrayBuffers;
      const isAtRest = bytes > leastBytes * 0.999;
      leastBytes = Math.min(leastBytes, bytes);
      if (!isAtRest) throw new Error(`${bytes} bytes and falling`);
      return leastBytes;
    },
    { withinMs: 60_000, pauseMs: 1_500 },
  );
}

process.once('disconnect', () => process.exit());
process.send?.(await measure(JSON.parse(process.argv[2] ?? '')));
