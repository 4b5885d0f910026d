import { setTimeout as pause } from 'node:timers/promises';
import type { Operation } from './measure.ts';
import { usageOf } from './usage.ts';

/** CPU time is measured over this number of calls, and for this time without calls. */
const calls = 200;
const idleMs = 5_000;

/** Process ids, by what the processes are. */
export type ProcessGroups = Readonly<Record<string, readonly number[]>>;

/**
 * The CPU time of each group of processes for a call, while one client calls without a pause, as
 * text. The time that they take without calls is subtracted, and stated too.
 */
export async function cpuPerCall(groups: ProcessGroups, operation: Operation): Promise<string> {
  const names = Object.keys(groups);
  const usedMs = () =>
    Object.values(groups).map((pids) => sum(pids.map((pid) => usageOf(pid).cpuMs)));
  const during = async (work: Operation) => {
    const [beforeMs, startMs] = [usedMs(), performance.now()];
    await work();
    const elapsedMs = performance.now() - startMs;
    return { cpuMs: usedMs().map((ms, index) => ms - (beforeMs[index] ?? 0)), elapsedMs };
  };
  const idle = await during(() => pause(idleMs));
  const busy = await during(async () => {
    for (let call = 0; call < calls; call++) await operation();
  });
  const idleShare = idle.cpuMs.map((ms) => ms / idle.elapsedMs);
  const eachMs = busy.cpuMs.map(
    (ms, index) => (ms - busy.elapsedMs * (idleShare[index] ?? 0)) / calls,
  );
  const shares = names.map((name, index) => `${name} ${eachMs[index]?.toFixed(1)}`).join(', ');
  return `${sum(eachMs).toFixed(1)} ms of CPU (${shares}), without calls ${sum(idleShare).toFixed(2)} of a core`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
