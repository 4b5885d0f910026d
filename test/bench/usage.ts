import { readdirSync, readFileSync } from 'node:fs';

/** The resources of processes: CPU time since their start, and present resident memory. */
export type Usage = { cpuMs: number; residentBytes: number };

// Linux counts CPU time in hundredths of a second (USER_HZ) and memory in pages; see proc(5).
const tickMs = 10;
const pageBytes = 4_096;

type Process = Usage & { pid: number; parent: number };

/** The usage of a process and of all its descendants. Linux only. */
export function usageOfTree(root: number): Usage {
  const all = processes();
  const tree = all.filter(({ pid }) => pid === root);
  for (const { pid } of tree) tree.push(...all.filter(({ parent }) => parent === pid));
  return {
    cpuMs: tree.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    residentBytes: tree.reduce((sum, { residentBytes }) => sum + residentBytes, 0),
  };
}

/** The usage of one process. Throws if it has ended. Linux only. */
export function usageOf(pid: number): Usage {
  const found = readProcess(pid);
  if (found === undefined) throw new Error(`process ${pid} has ended`);
  return found;
}

/** The processes that a process has started and that still run. Linux only. */
export function childrenOf(parentPid: number): number[] {
  return processes()
    .filter(({ parent }) => parent === parentPid)
    .map(({ pid }) => pid);
}

function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
}

/** Undefined if it has ended meanwhile. */
function readProcess(pid: number): Process | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The program's name is in parentheses and may contain spaces, so fields are counted after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [parent, userTicks, systemTicks, pages] = [1, 11, 12, 21].map((index) =>
    Number(fields[index]),
  );
  if (parent === undefined || userTicks === undefined) return undefined;
  if (systemTicks === undefined || pages === undefined) return undefined;
  const cpuMs = (userTicks + systemTicks) * tickMs;
  return { pid, parent, cpuMs, residentBytes: pages * pageBytes };
}
