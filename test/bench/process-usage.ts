import { readFileSync } from 'node:fs';

/** The resident memory of a process, as Linux reports it. */
export function residentBytes(pid: number): number {
  const [, kibibytes] =
    /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1_024;
}

/** User and system CPU time of a process (fields 14 and 15, in 10 ms). */
export function cpuTimeMs(pid: number): number {
  const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1) ?? '';
  const fields = afterName.split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}
