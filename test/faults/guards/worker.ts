import { randomUUID } from 'node:crypto';
import { propagationBlocks } from '@silo/cli/render/propagation.ts';
import { toText } from '@silo/cli/text.ts';
import { reasonOf } from '@silo/errors/from-status.ts';
import type { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import type { Clients, PublicApi } from '../../harness/clients.ts';
import { eventually } from '../../harness/eventually.ts';
import { machineMs } from '../../harness/machine-clock.ts';
import type { SeededRandom } from '../../simulation/random.ts';
import type { Ledger } from './ledger.ts';
import type { Oracle } from './oracle.ts';
import type { CheckedAccess } from './question.ts';

/** How long one request is repeated; after that the test has failed. */
const repeatedWithinMs = 600_000;
/** How long a worker waits until a guard accepts the access that it is about to remove. */
const acceptedWithinMs = 30_000;
/** Share of the failed requests that are not repeated before their time limit has passed. */
const abandonedShare = 0.25;
const attemptDeadlineMs = 30_000;

/** A new account. */
export type Person = {
  accountId: string;
  email: string;
  organizationId: string;
  projectId: string;
  projectToken: string;
  apiKey: string;
};

/** What all workers of a storm share. */
export type Storm = {
  /** The public API at each replica, in turn. */
  replicas: readonly Clients[];
  ledger: Ledger;
  oracle: Oracle;
  acceptedBy(id: number): number;
  /** Whether the storm has ended; waiting workers then continue at once. */
  isOver(): boolean;
};

/** Calls the API like a client: repeats a failed call with the same request id. */
export type Call<Answer> = (api: PublicApi, requestId: string) => Promise<Answer>;

/** A worker that grants and removes access, one after another, with its own accounts. */
export class Worker {
  readonly #storm: Storm;
  readonly #random: SeededRandom;
  #next: number;

  constructor(storm: Storm, random: SeededRandom, first: number) {
    this.#storm = storm;
    this.#random = random;
    this.#next = first;
  }

  /** A new account. */
  async signUp(displayName: string): Promise<Person> {
    const email = `${displayName.toLowerCase()}-${randomUUID()}@example.com`;
    const organizationName = `${displayName}’s organization`;
    const { answer } = await this.do(undefined, (api, requestId) =>
      api.accounts.createAccount({ email, displayName, organizationName, requestId }, patience),
    );
    const { account, organization, ...rest } = answer;
    const accountId = account?.id ?? '';
    return { ...rest, accountId, email, organizationId: organization?.id ?? '' };
  }

  /**
   * Makes a change that grants access, or prepares it. Also returns the time at which it was first
   * sent.
   */
  async do<Answer>(
    apiKey: string | undefined,
    call: Call<Answer>,
  ): Promise<{ answer: Answer; sentMs: number }> {
    const requestId = randomUUID();
    const sentMs = machineMs();
    for (let attempt = 1; ; attempt++) {
      try {
        return { answer: await call(this.#replica().as(apiKey), requestId), sentMs };
      } catch (error) {
        if (!isRepeatable(error) || machineMs() > sentMs + repeatedWithinMs) throw error;
      }
      await this.#breathe(attempt);
    }
  }

  give(what: string, access: CheckedAccess, fromMs: number): number {
    return this.#storm.ledger.give(what, access, fromMs);
  }

  giveAgain(id: number, what: string, fromMs: number): void {
    this.#storm.ledger.giveAgain(id, what, fromMs);
  }

  /**
   * Removes access: waits until a guard accepts it, calls until the RPC returns OK, and then
   * requires that no guard accepts it.
   */
  async take<Answer>(
    what: string,
    ids: number[],
    apiKey: string,
    call: Call<Answer>,
  ): Promise<{ answer: Answer; sentMs: number }> {
    const { ledger } = this.#storm;
    await this.#untilAccepted(ids);
    const requestId = randomUUID();
    const firstSentMs = machineMs();
    for (let attempt = 1; ; attempt++) {
      const sentMs = machineMs();
      const settled = await settle(call(this.#replica().as(apiKey), requestId));
      const endedMs = machineMs();
      const outcome = 'answer' in settled ? 'OK' : outcomeOf(settled.error);
      const propagation = 'answer' in settled ? spreadOf(settled.answer) : undefined;
      ledger.attempted({ what, sentMs, endedMs, outcome, propagation });
      if ('answer' in settled) {
        for (const id of ids) ledger.end(id, endedMs, 'returned');
        ledger.recheck(ids);
        ledger.returned.set(what, (ledger.returned.get(what) ?? 0) + 1);
        return { answer: settled.answer, sentMs: firstSentMs };
      }
      if (!isRepeatable(settled.error) || endedMs > firstSentMs + repeatedWithinMs) {
        throw new Error(`${what} of a storm`, { cause: settled.error });
      }
      if (this.#random.chance(abandonedShare)) await this.#abandon(ids);
      await this.#breathe(attempt);
    }
  }

  /** Waits without a repeat until the change, if it was made, must have reached every guard. */
  async #abandon(ids: number[]): Promise<void> {
    const { ledger, oracle, isOver } = this.#storm;
    const boundMs = await oracle.boundOf(ids.map((id) => ledger.question(id)));
    if (boundMs === undefined) return;
    for (const id of ids) ledger.end(id, boundMs, 'bounded');
    ledger.bounded++;
    await eventually(() => {
      if (machineMs() < boundMs + 200 && !isOver()) throw new Error('the bound is not over');
    });
    ledger.recheck(ids);
  }

  async #untilAccepted(ids: number[]): Promise<void> {
    const { acceptedBy, isOver } = this.#storm;
    await eventually(() => {
      const isSeen = ids.every((id) => acceptedBy(id) > 0);
      if (!isSeen && !isOver()) throw new Error('nobody accepts it yet');
    }, acceptedWithinMs).catch(() => {}); // if no owner can be reached, it is removed without having been accepted
  }

  #replica(): Clients {
    const { replicas } = this.#storm;
    const clients = replicas[this.#next++ % replicas.length];
    if (clients === undefined) throw new RangeError('a storm needs clients');
    return clients;
  }

  /** The pause grows with every attempt, as in clients. */
  async #breathe(attempt: number): Promise<void> {
    const fromMs = machineMs();
    const pauseMs = this.#random.between(0.5, 1) * Math.min(1_000, 50 * 2 ** attempt);
    await eventually(() => {
      if (machineMs() - fromMs < pauseMs) throw new Error('too soon');
    });
  }
}

/** The maximum time of one attempt, equal to that of servers. */
export const patience = { deadlineMs: attemptDeadlineMs };

async function settle<Answer>(
  promise: Promise<Answer>,
): Promise<{ answer: Answer } | { error: unknown }> {
  return await promise.then(
    (answer) => ({ answer }),
    (error: unknown) => ({ error }),
  );
}

/** The propagation in the answer of an RPC that removes access. */
function spreadOf(answer: unknown): string | undefined {
  const { propagation } = answer as { propagation?: Propagation | undefined };
  return toText(propagationBlocks(propagation), { colour: false }).trim() || undefined;
}

function outcomeOf(error: unknown): string {
  const reason = reasonOf(error);
  if (reason !== undefined) return reason;
  return error instanceof Error && 'code' in error ? `gRPC ${error.code}` : String(error);
}

const repeatable = new Set([
  'DEPENDENCY_UNAVAILABLE',
  'DRAINING',
  'CALL_ENDED',
  'NOT_READY',
  'REQUEST_IN_PROGRESS',
  'PROPAGATION_UNCONFIRMED',
  // Codes of gRPC itself: CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, INTERNAL (RST_STREAM),
  // UNAVAILABLE.
  ...['gRPC 1', 'gRPC 2', 'gRPC 4', 'gRPC 13', 'gRPC 14'],
]);

function isRepeatable(error: unknown): boolean {
  return repeatable.has(outcomeOf(error));
}
