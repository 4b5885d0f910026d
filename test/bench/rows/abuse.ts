import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { AccountServiceClient } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { connect, createChannel } from '@silo/rpc/client.ts';
import type { RawTarget } from '@silo/rpc/test/raw-client.ts';
import { startForked } from '../../harness/forked.ts';
import type { Attack } from '../attacker.ts';
import type { Bench } from '../bench-servers.ts';
import { Live } from '../live.ts';
import { quantile } from '../measure.ts';
import type { Row } from '../row.ts';
import { createTenant } from '../tenant.ts';

/** Another address than the well-behaved client's, on the same machine. */
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
 * What attacks without a key cost a service: how much slower a well-behaved client's slowest calls
 * become (p99 of GetAccount at a steady pace, in turns of idle and attack), and how much more memory
 * the process holds at its peak. The attacker begins again each second with what was refused.
 */
export const abuse: readonly Row[] = Object.entries(attacks).flatMap(([attack, what]) => {
  const measured = measuredOnce(attack as Attack);
  const latency: Row = {
    name: `abuse-${attack}`,
    unit: 'ms (p99)',
    goal: { of: 'ratio', atMost: 2 },
    about: `GetAccount during ${what}; floor: without`,
    run: async (bench) => {
      const { idleP99Ms, attackedP99Ms, cpuShare, failures } = await measured(bench);
      const failed = failures.length === 0 ? 'none' : failures.join(', ');
      const remark = `${(100 * cpuShare).toFixed(0)} % of a core; failed calls: ${failed}`;
      return { value: attackedP99Ms, floor: idleP99Ms, remark };
    },
  };
  const memory: Row = {
    name: `abuse-${attack}-memory`,
    unit: 'MiB',
    goal: { of: 'value', atMost: 32 },
    about: `by how much org's memory grows at its peak during ${what}`,
    run: async (bench) => ({ value: (await measured(bench)).grownBytes / mebibyte }),
  };
  return [latency, memory];
});

type AbuseMeasured = {
  idleP99Ms: number;
  attackedP99Ms: number;
  grownBytes: number;
  /** Of org's process during the attack, in cores. */
  cpuShare: number;
  /** Of the well-behaved client: when, after how many ms, and why. */
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
  const target: RawTarget = { address: services.org.public, ca, from: attackersAddress };
  await using attacker = await startForked<string>(
    new URL('../attacker.ts', import.meta.url),
    target,
  );
  using channel = createChannel(services.org.public, { ca });
  const accounts = connect(AccountServiceClient, channel, {
    refusals: true,
    metadata: { authorization: `Bearer ${tenant.apiKey}` },
  });
  const tookMs = { warmUp: [] as number[], idle: [] as number[], attacked: [] as number[] };
  const failures: string[] = [];
  const callFor = async (forMs: number, when: keyof typeof tookMs) => {
    const endMs = performance.now() + forMs;
    while (performance.now() < endMs) {
      const startMs = performance.now();
      const error: unknown = await accounts.getAccount({}).then(
        () => undefined,
        (e: unknown) => e,
      );
      const durationMs = performance.now() - startMs;
      tookMs[when].push(durationMs);
      if (error !== undefined) failures.push(`${when} ${durationMs.toFixed(0)} ms ${error}`);
      await pause(paceMs);
    }
  };
  // What ordinary calls make a process hold is no cost of the attack.
  await Promise.all(Array.from({ length: warmUpClients }, () => callFor(warmUpMs, 'warmUp')));
  const beforeBytes = residentBytes(pid);
  let peakBytes = beforeBytes;
  const sampler = setInterval(() => {
    peakBytes = Math.max(peakBytes, residentBytes(pid));
  }, sampleMs);
  let cpuMs = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      await callFor(roundMs, 'idle');
      const cpuBeforeMs = cpuTimeMs(pid);
      const attacking = attacker.ask(attack);
      await callFor(roundMs, 'attacked');
      await attacking;
      cpuMs += cpuTimeMs(pid) - cpuBeforeMs;
      await attacker.ask('none');
    }
  } finally {
    clearInterval(sampler);
  }
  return {
    idleP99Ms: quantile(tookMs.idle, 0.99),
    attackedP99Ms: quantile(tookMs.attacked, 0.99),
    grownBytes: peakBytes - beforeBytes,
    cpuShare: cpuMs / (rounds * roundMs),
    failures,
  };
}

/** What a process holds of the machine's memory, as Linux tells it. */
function residentBytes(pid: number): number {
  const [, kibibytes] =
    /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1_024;
}

/** The time that a process has computed, of itself and for it (fields 14 and 15, in 10 ms). */
function cpuTimeMs(pid: number): number {
  const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1) ?? '';
  const fields = afterName.split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}
