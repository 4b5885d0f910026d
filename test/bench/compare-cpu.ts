import type { Compared, Load } from './measure.ts';
import { usageOf } from './usage.ts';

const turnsDefault = 50;

/**
 * The CPU time of each process for one unit of work on both sides, as text. Other work of the
 * machine affects it less than throughput.
 */
export async function compareCpu(
  pids: Readonly<Record<string, number>>,
  loads: Compared<Load>,
  { unit, unitsPerCall = 1, turns = turnsDefault }: CpuOptions,
): Promise<string> {
  const names = Object.keys(pids);
  const usedMs = () => Object.values(pids).map((pid) => usageOf(pid).cpuMs);
  const during = async ({ clients, operation }: Load) => {
    const before = usedMs();
    const each = Array.from({ length: clients }, async (_, client) => {
      for (let turn = 0; turn < turns; turn++) await operation(client);
    });
    await Promise.all(each);
    const units = clients * turns * unitsPerCall;
    const used = usedMs().map((ms, index) => ((ms - (before[index] ?? 0)) * 1_000) / units);
    return names.map((name, index) => `${name} ${used[index]?.toFixed(0)}`).join(', ');
  };
  const [floor, measured] = [await during(loads.floor), await during(loads.measured)];
  return `µs of CPU per ${unit}: ${measured}; floor: ${floor}`;
}

/** An operation does `unit` `unitsPerCall` times; each client makes `turns` calls. */
type CpuOptions = { unit: string; unitsPerCall?: number; turns?: number };
