import { setTimeout as pause } from 'node:timers/promises';
import { ServerReflectionRequest } from '@silo/protos/gen/grpc/reflection/v1/reflection.ts';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { connect, createChannel } from '@silo/rpc/client.ts';
import {
  beginCall,
  connectRaw,
  framed,
  outcomeOfRaw,
  type RawTarget,
} from '@silo/rpc/test/raw-client.ts';
import { type Forked, startForked } from '../../harness/forked.ts';
import type { Attack } from '../attacker.ts';
import type { Bench } from '../bench-servers.ts';
import { Live } from '../live.ts';
import { quantile } from '../measure.ts';
import type { Row } from '../row.ts';
import { createTenant } from '../tenant.ts';
import { usageOf } from '../usage.ts';

/** Another address than that of the well-behaved client, on the same machine. */
const attackersAddress = '127.0.0.2';
const rounds = 6;
const roundMs = 2_000;
const paceMs = 5;
const warmUpClients = 32;
const warmUpMs = 10_000;
const sampleMs = 20;
const mebibyte = 2 ** 20;

const attacks: Record<Exclude<Attack, 'none'>, string> = {
  reflection: '3,000 reflection streams whose answers are not read',
  uploads: '200 uploads of 4 MiB and 256 KiB without end',
  'unknown-keys': '1,600 calls at once with keys that do not exist',
};

/**
 * The cost of attacks without a key for a service: the slowdown of the slowest calls of a
 * well-behaved client (p99 of GetAccount at a steady pace), and the growth of the process's memory
 * at its peak. Each second the attacker repeats what was refused. Attacker, client and service
 * share the machine; the cost of that alone is measured, too, by the same attack on another
 * process, an HTTP/2 server that refuses every call at once. The turns alternate.
 */
export const abuse: readonly Row[] = Object.entries(attacks).flatMap(([attack, what]) => {
  const measured = measuredOnce(attack as Attack);
  const latency: Row = {
    name: `abuse-${attack}`,
    unit: 'ms (p99)',
    goal: { of: 'ratio', atMost: 2 },
    about: `GetAccount during ${what}; floor: without`,
    run: async (bench) => {
      const { p99Ms, cpuShare, failures } = await measured(bench);
      const failed = failures.length === 0 ? 'none' : failures.join(', ');
      const elsewhere = `the same attack on a server that only refuses: ${p99Ms.elsewhere.toFixed(2)} ms (${(p99Ms.elsewhere / p99Ms.idle).toFixed(2)}×)`;
      const remark = `${elsewhere}; org took ${(100 * cpuShare.attacked).toFixed(0)} % of a core, ${(100 * cpuShare.idle).toFixed(0)} % without; failed calls: ${failed}`;
      return { value: p99Ms.attacked, floor: p99Ms.idle, remark };
    },
  };
  const memory: Row = {
    name: `abuse-${attack}-memory`,
    unit: 'MiB',
    goal: { of: 'value', atMost: 32 },
    about: `by how much org's memory grows at its peak during ${what}`,
    run: async (bench) => {
      const { grownBytes } = await measured(bench);
      const remark = `a server that only refuses: ${(grownBytes.elsewhere / mebibyte).toFixed(1)}`;
      return { value: grownBytes.attacked / mebibyte, remark };
    },
  };
  return [latency, memory];
});

/** The target of an attack in a turn: nothing, org, or the server that only refuses. */
type Turn = 'idle' | 'attacked' | 'elsewhere';

type AbuseMeasured = {
  p99Ms: Record<Turn, number>;
  grownBytes: Record<'attacked' | 'elsewhere', number>;
  /** CPU use of org's process, in cores. */
  cpuShare: Record<'idle' | 'attacked', number>;
  /** Failures of the well-behaved client: the turn, the duration in ms, and the reason. */
  failures: string[];
};

/** Both rows of an attack come from one run of it. */
function measuredOnce(attack: Attack): (bench: Bench) => Promise<AbuseMeasured> {
  let measuring: Promise<AbuseMeasured> | undefined;
  return (bench) => {
    measuring ??= measure(bench, attack);
    return measuring;
  };
}

async function measure(bench: Bench, attack: Attack): Promise<AbuseMeasured> {
  const silo = await bench.silo();
  await using live = new Live(silo);
  using tenant = await createTenant(silo, live, { projects: 1 });
  const { ca, services } = silo.endpoints;
  const { pid } = silo.services.org;
  if (pid === undefined) throw new TypeError('org does not run');
  await using refusing = await startForked<{ address: string; pid: number }>(
    new URL('../refusing-server.ts', import.meta.url),
    await bench.certificate('service', 'org'),
  );
  const attackerOf = (address: string) => {
    const target: RawTarget = { address, ca, from: attackersAddress };
    return startForked<string>(new URL('../attacker.ts', import.meta.url), target);
  };
  await using attacker = await attackerOf(services.org.public);
  await using elsewhere = await attackerOf(refusing.ready.address);
  using channel = createChannel(services.org.public, { ca });
  const accounts = connect(AccountServiceClient, channel, {
    refusals: true,
    metadata: { authorization: `Bearer ${tenant.apiKey}` },
  });
  const tookMs: Record<Turn, number[]> = { idle: [], attacked: [], elsewhere: [] };
  const failures: string[] = [];
  const callFor = async (forMs: number, turn?: Turn) => {
    const endMs = performance.now() + forMs;
    while (performance.now() < endMs) {
      const startMs = performance.now();
      const error: unknown = await accounts.getAccount({}).then(
        () => undefined,
        (e: unknown) => e,
      );
      const durationMs = performance.now() - startMs;
      if (turn !== undefined) tookMs[turn].push(durationMs);
      if (error !== undefined) failures.push(`${turn} ${durationMs.toFixed(0)} ms ${error}`);
      await pause(paceMs);
    }
  };
  // Memory that ordinary calls make a process hold is not a cost of the attack.
  await describe({ address: services.org.public, ca });
  await Promise.all(Array.from({ length: warmUpClients }, () => callFor(warmUpMs)));
  const memory = [pid, refusing.ready.pid].map((process) => new PeakMemory(process));
  const sampler = setInterval(() => {
    for (const each of memory) each.sample();
  }, sampleMs);
  const cpuMs = { idle: 0, attacked: 0 };
  try {
    for (let round = 0; round < rounds; round++) {
      const startMs = usageOf(pid).cpuMs;
      await callFor(roundMs, 'idle');
      const attackMs = usageOf(pid).cpuMs;
      await attackWith(attacker, attack, () => callFor(roundMs, 'attacked'));
      cpuMs.idle += attackMs - startMs;
      cpuMs.attacked += usageOf(pid).cpuMs - attackMs;
      await attackWith(elsewhere, attack, () => callFor(roundMs, 'elsewhere'));
    }
  } finally {
    clearInterval(sampler);
  }
  const [ofOrg, ofRefusing] = memory.map(({ grownBytes }) => grownBytes);
  return {
    p99Ms: {
      idle: quantile(tookMs.idle, 0.99),
      attacked: quantile(tookMs.attacked, 0.99),
      elsewhere: quantile(tookMs.elsewhere, 0.99),
    },
    grownBytes: { attacked: ofOrg ?? Number.NaN, elsewhere: ofRefusing ?? Number.NaN },
    cpuShare: {
      idle: cpuMs.idle / (rounds * roundMs),
      attacked: cpuMs.attacked / (rounds * roundMs),
    },
    failures,
  };
}

/** An ordinary call of server reflection: the first one reads the image of the protos. */
async function describe(target: RawTarget): Promise<void> {
  const session = await connectRaw(target);
  const question: ServerReflectionRequest = {
    host: '',
    messageRequest: { $case: 'fileContainingSymbol', value: 'silo.org.v1.AccountService' },
  };
  const call = beginCall(session, '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo');
  call.end(framed(ServerReflectionRequest.encode(question).finish()));
  await outcomeOfRaw(call);
  session.destroy();
}

/** Attacks while `work` runs. */
async function attackWith(
  attacker: Forked<string>,
  attack: Attack,
  work: () => Promise<void>,
): Promise<void> {
  const attacking = attacker.request(attack);
  await work();
  await attacking;
  await attacker.request('none');
}

/** The growth of a process's memory at its peak. */
class PeakMemory {
  readonly #pid: number;
  readonly #beforeBytes: number;
  #peakBytes: number;

  constructor(pid: number) {
    this.#pid = pid;
    this.#beforeBytes = usageOf(pid).residentBytes;
    this.#peakBytes = this.#beforeBytes;
  }

  sample(): void {
    this.#peakBytes = Math.max(this.#peakBytes, usageOf(this.#pid).residentBytes);
  }

  get grownBytes(): number {
    return this.#peakBytes - this.#beforeBytes;
  }
}
