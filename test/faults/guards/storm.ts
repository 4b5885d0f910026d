import { availableParallelism } from 'node:os';
import { type Clients, connectClients } from '../../harness/clients.ts';
import { machineMs } from '../../harness/machine-clock.ts';
import { SeededRandom } from '../../simulation/random.ts';
import type { Cluster } from './cluster.ts';
import type { Fleet } from './fleet.ts';
import { careers } from './kinds.ts';
import { Ledger } from './ledger.ts';
import { Nemesis, type Strike } from './nemesis.ts';
import { Oracle } from './oracle.ts';
import { readsProject } from './people.ts';
import { Turnstile } from './turnstile.ts';
import { Worker } from './worker.ts';

/**
 * Number of workers that act at the same time. More than the machine has processors would only wait
 * for each other, and their calls would be late because of the machine.
 */
const actingMax = Math.max(2, availableParallelism());
const turnMs = 1_000;

export type StormOptions = {
  seed: number;
  /** Minimum number of complete revocations. */
  revocations: number;
  /** Further minimum numbers of strikes that are over and of kinds of RPCs that are complete. */
  least: { strikes: number; kinds: number };
  plan: readonly Strike[];
  lease: { leaseMs: number; renewMs: number };
  log: (line: string) => void;
};

/**
 * Lets a worker of every kind grant and remove access, all at the same time, while the nemesis
 * strikes, until the minimum is reached. Then repairs everything, and returns what was done.
 */
export async function storm(
  cluster: Cluster,
  fleet: Fleet,
  { seed, revocations, least, plan, lease, log }: StormOptions,
): Promise<{ ledger: Ledger; strikes: number }> {
  using oracle = new Oracle(cluster, lease);
  const ledger = new Ledger(fleet, cluster.yardstick);
  const replicas = cluster.services.token.map((_, index) => {
    const { staff } = cluster.certificates;
    return connectClients(cluster.addressesOf(index), staff);
  });
  using _clients = closing(replicas);
  const nemesis = new Nemesis({ cluster, fleet, ledger, log });
  const isOver = () =>
    ledger.count >= revocations &&
    ledger.returned.size >= least.kinds &&
    nemesis.done >= least.strikes;
  const acceptedBy = (id: number) => fleet.acceptedBy(id);
  const shared = { replicas, ledger, oracle, acceptedBy, isOver };
  await holdThroughout(new Worker(shared, new SeededRandom(seed), 0));
  const turnstile = new Turnstile(actingMax);
  const working = Object.values(careers).map(async (career, index) => {
    const random = new SeededRandom(seed * 100 + index);
    const worker = new Worker(shared, random, index);
    const steps = career(worker);
    while (!isOver()) {
      using _turn = await turnstile.enter();
      const endMs = machineMs() + turnMs;
      do await steps.next();
      while (machineMs() < endMs && !isOver());
    }
    await steps.return(undefined);
  });
  const worked = Promise.allSettled(working).finally(() => nemesis.end());
  const [struck] = await Promise.allSettled([nemesis.run(plan), worked]);
  for (const each of [struck, ...(await worked)]) {
    if (each.status === 'rejected') throw each.reason;
  }
  ledger.excuse(nemesis.troubles);
  return { ledger, strikes: nemesis.done };
}

/** Access that is never removed: at the end, every guard must accept it. */
async function holdThroughout(worker: Worker): Promise<void> {
  const { apiKey, organizationId, projectId, projectToken } = await worker.signUp('Constance');
  worker.give('a key, nobody', readsProject(apiKey, projectId), 0);
  worker.give('a token, nobody', { kind: 'token', token: projectToken, organizationId }, 0);
}

function closing(replicas: readonly Clients[]): Disposable {
  return {
    [Symbol.dispose]: () => {
      for (const clients of replicas) clients.close();
    },
  };
}
