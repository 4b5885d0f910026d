import type { ServiceName } from '@silo/service/config.ts';
import { eventually } from '../../harness/eventually.ts';
import { machineMs } from '../../harness/machine-clock.ts';
import { connectToNats, managerOf } from '../../harness/patient-nats.ts';
import type { Disturbance } from '../../harness/tcp-proxy.ts';
import type { SeededRandom } from '../../simulation/random.ts';
import type { Cluster } from './cluster.ts';
import type { Fleet } from './fleet.ts';
import { type Guard, type LinkName, links } from './guard.ts';
import type { Ledger } from './ledger.ts';

/** The faults of a cluster and its guards. */
export const strikes = {
  killGuard: 'a guard is killed, and starts again later',
  stopGuard: 'a guard is stopped until its lease is gone, and goes on',
  cutGuard: 'a guard is cut off from everything until its lease is gone',
  stallGuard: 'nothing reaches a guard, or leaves it, until its lease is gone; then all arrives',
  deafenGuard: 'a guard receives nothing from NATS',
  slowGuard: 'everything reaches and leaves a guard late',
  killToken: 'a token service is killed, and starts again later',
  killBothTokens: 'both token services are killed, and start again later',
  stopToken: 'a token service is stopped, and goes on later',
  killOwner: 'the org or the project service is killed, and starts again later',
  killNats: 'NATS is killed, and starts again later',
  stopNats: 'NATS is stopped, and goes on later',
  deleteStream: 'the JetStream stream is deleted',
  stepDown: 'MongoDB’s primary steps down',
} as const;
export type StrikeName = keyof typeof strikes;

/** Strikes after which an RPC may take longer, because they affect the servers that answer it. */
const ofServers: readonly StrikeName[] = [
  ...(['killToken', 'killBothTokens', 'stopToken', 'killOwner', 'stepDown'] as const),
];

/** A strike during which few attempts end is ended after this time. */
const lastsMsMax = 3_000;

/** One strike of the nemesis; the seed determines everything about it. */
export type Strike = {
  name: StrikeName;
  /** Begins when this number of attempts at revocations has ended. */
  atAttempts: number;
  /** Ends this number of attempts later, or when its own condition is met, whichever is later. */
  lastsAttempts: number;
  /** Selects the guard or replica, modulo their number. */
  target: number;
};

/** Consecutive strikes, each at its own attempt; the kinds take turns in shuffled order. */
export function planStrikes(
  random: SeededRandom,
  { count, everyAttempts, names }: { count: number; everyAttempts: number; names: StrikeName[] },
): Strike[] {
  const plan: Strike[] = [];
  let atAttempts = 0;
  let deck: StrikeName[] = [];
  while (plan.length < count) {
    if (names.length === 0) break;
    if (deck.length === 0) deck = random.shuffle([...names]);
    const name = deck.pop();
    if (name === undefined) throw new RangeError('no strikes to choose from');
    atAttempts += 1 + random.below(2 * everyAttempts - 1);
    const lastsAttempts = 3 + random.below(10);
    plan.push({ name, atAttempts, lastsAttempts, target: random.below(1_000) });
  }
  return plan;
}

type World = { cluster: Cluster; fleet: Fleet; ledger: Ledger; log: (line: string) => void };

/** A period of a strike on the servers themselves, in which requests to them took longer. */
export type Trouble = { what: string; fromMs: number; untilMs: number };

/** Strikes as planned while a storm lasts. */
export class Nemesis {
  readonly #world: World;
  readonly #struck = new Set<Guard>();
  /** Strikes that affect the whole cluster happen one at a time. */
  #global: Promise<void> = Promise.resolve();
  #isOver = false;
  done = 0;
  readonly troubles: Trouble[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** Strikes until the plan ends or `end` is called; returns when everything is repaired. */
  async run(plan: readonly Strike[]): Promise<void> {
    const running: Promise<void>[] = [];
    for (const strike of plan) {
      await Promise.race([
        this.#world.ledger.untilAttempts(strike.atAttempts),
        this.#ended.promise,
      ]);
      if (this.#isOver) break;
      running.push(this.#strike(strike));
    }
    await Promise.all(running);
  }

  readonly #ended = Promise.withResolvers<void>();

  end(): void {
    this.#isOver = true;
    this.#ended.resolve();
  }

  async #strike(strike: Strike): Promise<void> {
    if (strike.name.endsWith('Guard')) return await this.#strikeGuard(strike);
    const before = this.#global;
    const mine = before.then(() => this.#strikeAll(strike));
    this.#global = mine;
    await mine;
  }

  async #strikeGuard({ name, lastsAttempts, target }: Strike): Promise<void> {
    const free = this.#world.fleet.guards.filter((guard) => !this.#struck.has(guard));
    const guard = free[target % free.length];
    if (guard === undefined) return;
    this.#struck.add(guard);
    this.#note(`${guard.name}: ${strikes[name]}`);
    const passed = this.#passing(lastsAttempts);
    const gone = async () => {
      await Promise.race([Promise.all([passed(), this.#leaseGone(guard)]), this.#ended.promise]);
    };
    const disturbed = async (
      names: readonly LinkName[],
      disturbance: Disturbance,
      over: () => Promise<unknown>,
    ) => {
      guard.disturb(names, disturbance);
      await over();
      guard.heal();
    };
    switch (name) {
      case 'killGuard':
        await guard.kill();
        await passed();
        await guard.start();
        break;
      case 'stopGuard':
        guard.stop();
        await gone();
        guard.goOn();
        break;
      case 'cutGuard':
        await disturbed(links, { kind: 'cut' }, gone);
        break;
      case 'stallGuard': {
        const ways = [['toServer'], ['toClient'], ['toServer', 'toClient']] as const;
        await disturbed(links, { kind: 'stalled', ways: ways[target % 3] ?? [] }, gone);
        break;
      }
      case 'deafenGuard':
        await disturbed(['nats'], { kind: 'stalled', ways: ['toClient'] }, passed);
        break;
      case 'slowGuard':
        await disturbed(links, { kind: 'slow', delayMs: 20 + (target % 200) }, passed);
        break;
    }
    this.#note(`${guard.name}: over`);
    this.#struck.delete(guard);
    this.done++;
  }

  async #strikeAll({ name, lastsAttempts, target }: Strike): Promise<void> {
    if (this.#isOver) return;
    const { cluster } = this.#world;
    const { services, natsServer } = cluster;
    const passed = this.#passing(lastsAttempts);
    const fromMs = machineMs();
    this.#note(strikes[name]);
    const token = services.token[target % services.token.length];
    switch (name) {
      case 'killToken':
        await killAndStart(token ? [token] : [], passed);
        break;
      case 'killBothTokens':
        await killAndStart(services.token, passed);
        break;
      case 'stopToken':
        token?.kill('SIGSTOP');
        await passed();
        token?.kill('SIGCONT');
        await token?.untilServing();
        break;
      case 'killOwner': {
        const owner: ServiceName = target % 2 === 0 ? 'org' : 'project';
        await killAndStart(services[owner], passed);
        break;
      }
      case 'killNats':
        await natsServer.kill();
        await passed();
        await natsServer.start();
        break;
      case 'stopNats':
        natsServer.signal('SIGSTOP');
        await passed();
        natsServer.signal('SIGCONT');
        break;
      case 'deleteStream':
        await deleteStream(cluster);
        break;
      case 'stepDown':
        await stepDown(cluster);
        break;
    }
    this.#note(`over: ${strikes[name]}`);
    if (ofServers.includes(name)) {
      this.troubles.push({ what: strikes[name], fromMs, untilMs: machineMs() });
    }
    this.done++;
  }

  /**
   * Waits until this number of further attempts has ended, or the storm has, or for the maximum
   * time.
   */
  #passing(attempts: number): () => Promise<void> {
    const { ledger } = this.#world;
    const until = ledger.attempts.length + attempts;
    const untilMs = machineMs() + lastsMsMax;
    return async () => {
      await eventually(() => {
        const isOver = this.#isOver || machineMs() > untilMs || ledger.attempts.length >= until;
        if (!isOver) throw new Error('it still lasts');
      });
    };
  }

  /** Waits until the registry has ended the leases that the guard holds now. */
  async #leaseGone({ name }: Guard): Promise<void> {
    const leases = this.#world.cluster.mongo.db('silo_token').collection('guard_leases');
    const held = await eventually(() => leases.find({ guardName: name }).toArray());
    await eventually(async () => {
      const ids = held.map(({ _id }) => _id);
      const left = await leases.countDocuments({
        _id: { $in: ids },
        releaseTime: { $exists: false },
      });
      if (left > 0) throw new Error(`${name} still has a lease`);
    });
  }

  #note(line: string): void {
    this.#world.log(`${this.#world.ledger.attempts.length} attempts: ${line}`);
  }
}

type Startable = { kill(): void; exited: Promise<unknown>; start(): Promise<void> };

async function killAndStart(
  processes: readonly Startable[],
  passed: () => Promise<void>,
): Promise<void> {
  for (const each of processes) each.kill();
  await Promise.all(processes.map(({ exited }) => exited));
  await passed();
  await Promise.all(processes.map((each) => each.start()));
}

async function deleteStream({ natsUrl, natsStream }: Cluster): Promise<void> {
  const connection = await connectToNats({ url: natsUrl });
  try {
    await (await managerOf(connection)).streams.delete(natsStream);
  } finally {
    await connection.close();
  }
}

/** Makes another member primary; leaves a set alone that is still electing. */
async function stepDown({ mongo }: Cluster): Promise<void> {
  const admin = mongo.db('admin');
  const term = async () => Number((await admin.command({ replSetGetStatus: 1 })).term);
  const before = await eventually(term);
  // It may respond or close the connection: check the term.
  await admin.command({ replSetStepDown: 5, secondaryCatchUpPeriodSecs: 2 }).catch(() => {});
  await eventually(async () => {
    if ((await term()) <= before) throw new Error('there was no election yet');
  });
}
