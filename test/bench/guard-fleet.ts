/**
 * Many guards in a separate process, each with its own lease, connections and memory, like those of
 * other products. Notifies its parent when all have a read lease; then follows its commands.
 * Releases the leases and ends with its parent.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { waitUntil } from '@silo/embedded/wait-until.ts';
import { createGuard, type Guard } from '@silo/guard/create-guard.ts';
import type { TlsFiles } from '@silo/rpc/tls.ts';
import { createLogger } from '@silo/runtime/log.ts';

export type GuardFleetOptions = {
  guards: number;
  /** `host:port` of the internal ports. */
  addresses: { org: string; project: string; token: string };
  nats: string;
  tls: TlsFiles;
};

/** `verify`: every guard verifies these tokens from now on, once it has looked each up. */
export type Order = { kind: 'verify'; tokens: readonly string[] } | { kind: 'stop' };

/** Totals of all guards since the last order was executed. */
export type Report = {
  memory: number;
  owners: number;
  failed: number;
  refused: number;
};

/** Guards of other products do not all start in the same second. */
const startedAtOnce = 10;
const viewsWithinMs = 60_000;
const warmUpAtOnce = 20;
/** The number of tokens that each guard verifies in one turn, and the interval. */
const perTurn = 10;
const turnMs = 50;

const options: GuardFleetOptions = JSON.parse(process.argv[2] ?? '');
const log = createLogger({ service: 'bench-guards', region: 'us', level: 'warn' });
await using opened = new AsyncDisposableStack();
const fleet: Guard[] = [];
while (fleet.length < options.guards) {
  const more = Math.min(startedAtOnce, options.guards - fleet.length);
  for (let index = 0; index < more; index++) fleet.push(openGuard(fleet.length));
  await waitUntil('a read lease for each guard', async () => requireViews(), {
    withinMs: viewsWithinMs,
  });
}

let verifying: AbortController | undefined;
let before = answersOf();
let refused = 0;
const ended = Promise.withResolvers<void>();
process.on('message', (order: Order) => void carryOut(order));
process.once('disconnect', () => ended.resolve());
process.send?.(report());
await ended.promise;
verifying?.abort();

function openGuard(index: number): Guard {
  const { addresses, nats: url, tls } = options;
  return opened.use(createGuard({ name: `bench-${index}`, addresses, tls, nats: { url }, log }));
}

function requireViews(): void {
  const without = fleet.filter(
    (guard) => !guard.status().hasReadLease || !guard.status().isSubscribed,
  );
  if (without.length > 0) throw new Error(`${without.length} guards have none`);
}

async function carryOut(order: Order): Promise<void> {
  verifying?.abort();
  verifying = undefined;
  if (order.kind === 'verify') {
    for (const guard of fleet) await warmUp(guard, order.tokens);
    before = answersOf();
    refused = 0;
    verifying = new AbortController();
    void verify(order.tokens, verifying.signal);
  }
  process.send?.(report());
}

async function warmUp(guard: Guard, tokens: readonly string[]): Promise<void> {
  const signal = AbortSignal.timeout(viewsWithinMs);
  for (let from = 0; from < tokens.length; from += warmUpAtOnce) {
    const some = tokens.slice(from, from + warmUpAtOnce);
    await Promise.all(some.map((token) => guard.verifyToken(token, signal)));
  }
}

/** Verifies at a steady pace, until the signal. */
async function verify(tokens: readonly string[], signal: AbortSignal): Promise<void> {
  for (let next = 0; !signal.aborted; next += perTurn) {
    for (const guard of fleet) {
      for (let index = 0; index < perTurn; index++) {
        const token = tokens[(next + index) % tokens.length] ?? '';
        void verifyOne(guard, token, signal);
      }
    }
    await pause(turnMs);
  }
}

async function verifyOne(guard: Guard, token: string, signal: AbortSignal): Promise<void> {
  try {
    const { allowed } = await guard.verifyToken(token, signal);
    if (!allowed) refused++;
  } catch {
    // The guard counts it as failed.
  }
}

function answersOf(): Omit<Report, 'refused'> {
  const sum = { memory: 0, owners: 0, failed: 0 };
  for (const guard of fleet) {
    const { memory, owners, failed } = guard.status().answers;
    sum.memory += memory;
    sum.owners += owners;
    sum.failed += failed;
  }
  return sum;
}

function report(): Report {
  const now = answersOf();
  return {
    memory: now.memory - before.memory,
    owners: now.owners - before.owners,
    failed: now.failed - before.failed,
    refused,
  };
}
