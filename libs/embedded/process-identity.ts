import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Identifies one run of one program, because the system reuses pids. `startTime` is in the
 * platform's unit and is only compared.
 */
export interface ProcessIdentity {
  pid: number;
  startTime: string;
  command: string;
}

/** The record in the directory of a running child. */
export interface ProcessRecord {
  process: ProcessIdentity;
  owner: ProcessIdentity;
}

/** The process that now runs under `pid`; undefined if there is none, or only a zombie. */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  return process.platform === 'linux' ? identityFromProc(pid) : identityFromPs(pid);
}

/** Whether this process still runs, and not another one with the same pid. */
export function isAlive(identity: ProcessIdentity): boolean {
  const now = processIdentity(identity.pid);
  return now?.startTime === identity.startTime && now.command === identity.command;
}

/** The record in `file`; undefined if there is none that can be read. */
export function readRecord(file: string): ProcessRecord | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a value read from a file names a process. */
export function isIdentity(value: unknown): value is ProcessIdentity {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    Number.isInteger(value.pid) &&
    'startTime' in value &&
    typeof value.startTime === 'string' &&
    'command' in value &&
    typeof value.command === 'string'
  );
}

function isRecord(value: unknown): value is ProcessRecord {
  return (
    typeof value === 'object' &&
    value !== null &&
    'process' in value &&
    isIdentity(value.process) &&
    'owner' in value &&
    isIdentity(value.owner)
  );
}

function identityFromProc(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name is in parentheses and may contain spaces, so fields are counted after it
    // (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const state = fields[0];
    const startTime = fields[19];
    if (startTime === undefined || state === 'Z' || state === 'X') return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
    return { pid, startTime, command };
  } catch {
    return undefined;
  }
}

function identityFromPs(pid: number): ProcessIdentity | undefined {
  try {
    const ps = (column: string) =>
      execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], {
        encoding: 'utf8',
        env: { ...process.env, LC_ALL: 'C' },
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim();
    if (ps('stat').startsWith('Z')) return undefined;
    return { pid, startTime: ps('lstart'), command: ps('command') };
  } catch {
    return undefined;
  }
}
