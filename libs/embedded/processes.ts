import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { LogFile } from './log-file.ts';
import { isAlive, type ProcessIdentity, processIdentity, readRecord } from './process-identity.ts';

/** Files that an owned process creates are readable by its owner only. */
const privateUmask = 0o077;

/** How to start a child process that must not outlive this one. */
export interface ProcessOptions {
  /** The name of the process in messages. */
  name: string;
  command: string;
  args: readonly string[];
  /**
   * Directory of the record by which a later start recognizes an orphan; one process per directory.
   */
  directory: string;
  /** Standard output and error are appended here; see LogFile. */
  logFile: string;
  /** A log that exceeds this size is rotated; default 16 MiB. */
  logBytesMax?: number;
  /** Returns the part of a line that may be kept; default: all of it. */
  redactLine?: (line: string) => string;
  environment?: NodeJS.ProcessEnv;
  workingDirectory?: string;
  /** Called for orphaned processes that had to be ended first. */
  log?: Log;
}

/** Takes one line for people. */
export type Log = (message: string) => void;

export interface StopOptions {
  /** Time between SIGTERM and SIGKILL. */
  graceMs?: number;
  /** Sends SIGKILL at once. */
  force?: boolean;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A running child process: identified by its record, observed by its exit and its log. */
export class OwnedProcess {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Resolves when the process has ended for any reason; never rejects. */
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #log: LogFile;
  #lastWords: string | undefined;

  constructor({ name, directory }: ProcessOptions, child: ChildProcess, pid: number, log: LogFile) {
    const recordFile = recordFileIn(directory);
    this.name = name;
    this.#child = child;
    this.pid = pid;
    this.#log = log;
    this.logFile = log.path;
    // A failed delivery of a signal is not an error: only the exit matters.
    child.on('error', () => {});
    this.exited = new Promise((resolve) => {
      // Not at 'exit', because the last lines may not have been read yet.
      child.once('close', (code, signal) => {
        removeRecordOf(recordFile, pid);
        this.#lastWords = log.tail();
        log[Symbol.dispose]();
        resolve({ code, signal });
      });
    });
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The last lines that this run of the process wrote, at most 8 KiB. */
  logTail(): string {
    return this.#lastWords ?? this.#log.tail();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends SIGTERM, then SIGKILL after the grace period; returns when the process has ended. */
  async stop({ graceMs = 10_000, force = false }: StopOptions = {}): Promise<Exit> {
    if (!this.running) return this.exited;
    this.kill(force ? 'SIGKILL' : 'SIGTERM');
    // A stopped process (SIGSTOP) would not handle SIGTERM.
    if (!force) this.kill('SIGCONT');
    const timer = setTimeout(() => this.kill('SIGKILL'), graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  /** An error that says how the process ended, with the last lines of its log. */
  exitError(exit: Exit): Error {
    const how = exit.signal ? `was ended by ${exit.signal}` : `exited with code ${exit.code}`;
    return new Error(`${this.name} ${how}. The end of ${this.logFile}:\n${this.logTail()}`);
  }

  /**
   * Waits for `ready`, whose signal aborts when `outer` does. Rejects with the end of the log if
   * the process ends first.
   */
  async whileRunning<T>(
    ready: (signal: AbortSignal) => Promise<T>,
    outer?: AbortSignal,
  ): Promise<T> {
    const over = new AbortController();
    const early = this.exited.then((exit) => {
      throw this.exitError(exit);
    });
    // The one that loses the race may still reject, and is not awaited any more.
    early.catch(() => {});
    try {
      const signal = outer ? AbortSignal.any([outer, over.signal]) : over.signal;
      return await Promise.race([early, ready(signal)]);
    } finally {
      over.abort();
    }
  }
}

/**
 * Starts a child that is recorded, has its own log, and ends when this process does. Ends an orphan
 * of an earlier owner in the same directory first. Throws if a process of a living owner runs
 * there.
 */
export async function startProcess(options: ProcessOptions): Promise<OwnedProcess> {
  const { directory, logFile, redactLine } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await mkdir(dirname(logFile), { recursive: true, mode: 0o700 });
  const recordFile = recordFileIn(directory);
  await reapOrphan(recordFile, { log: options.log });
  refuseIfTaken(recordFile);
  using opened = new DisposableStack();
  const log = opened.use(new LogFile(logFile, options.logBytesMax));
  const child = spawnPrivately(options, redactLine === undefined ? log.descriptor : 'pipe');
  await once(child, 'spawn');
  for (const output of [child.stdout, child.stderr]) {
    if (output === null || redactLine === undefined) continue;
    createInterface({ input: output }).on('line', (line) => log.write(redactLine(line)));
  }
  const owned = new OwnedProcess(options, child, childPid(child), log);
  opened.move();
  writeRecord(recordFile, owned.pid);
  watchdog().write(`${recordFile}\n`);
  return owned;
}

/**
 * Output to a file survives this process, and no child fails on a broken pipe. mongod, whose output
 * is a pipe, ignores a broken one.
 */
function spawnPrivately(
  { command, args, workingDirectory, environment }: ProcessOptions,
  output: number | 'pipe',
): ChildProcess {
  const umask = process.umask(privateUmask);
  try {
    return spawn(command, args, {
      cwd: workingDirectory,
      env: environment ?? process.env,
      stdio: ['ignore', output, output],
      // A process group of its own: otherwise Ctrl-C would reach the server before its clients have
      // drained.
      detached: true,
    });
  } finally {
    process.umask(umask);
  }
}

/** The record file of a process that runs in `directory`. */
export function recordFileIn(directory: string): string {
  return join(directory, 'process.json');
}

/**
 * Ends the process that an earlier owner left running in `directory`, if it still runs. Returns its
 * identity. Leaves the process of a living owner alone.
 */
export async function reapOrphan(
  recordFile: string,
  { graceMs = 10_000, owner, log }: { graceMs?: number; owner?: ProcessIdentity; log?: Log } = {},
): Promise<ProcessIdentity | undefined> {
  const record = readRecord(recordFile);
  if (!record) return undefined;
  const foreign = owner
    ? record.owner.pid !== owner.pid || record.owner.startTime !== owner.startTime
    : isAlive(record.owner);
  if (foreign) return undefined;
  const orphan = record.process;
  const found = isAlive(orphan);
  if (found) {
    log?.(`ending a process that an earlier run left behind: ${nameOf(orphan)}, pid ${orphan.pid}`);
    signalIfSame(orphan, 'SIGCONT');
    signalIfSame(orphan, 'SIGTERM');
    if (!(await ended(orphan, graceMs))) {
      signalIfSame(orphan, 'SIGKILL');
      await ended(orphan, 5_000);
    }
  }
  removeRecordOf(recordFile, orphan.pid);
  return found ? orphan : undefined;
}

function refuseIfTaken(recordFile: string): void {
  const taken = readRecord(recordFile)?.process;
  if (taken && isAlive(taken)) {
    throw new Error(`${nameOf(taken)}, pid ${taken.pid}, already runs in ${dirname(recordFile)}`);
  }
}

function nameOf(identity: ProcessIdentity): string {
  return basename(identity.command.split(' ')[0] ?? '');
}

async function ended(identity: ProcessIdentity, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (isAlive(identity)) {
    if (performance.now() > deadline) return false;
    await delay(25);
  }
  return true;
}

function signalIfSame(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    // It ended between the check and the signal.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function childPid(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('a spawned process has no pid');
  return child.pid;
}

function writeRecord(recordFile: string, pid: number): void {
  const child = processIdentity(pid);
  const owner = processIdentity(process.pid);
  // A child that has ended needs no record.
  if (!child || !owner) return;
  const draft = `${recordFile}.${process.pid}.tmp`;
  writeFileSync(draft, `${JSON.stringify({ process: child, owner })}\n`);
  renameSync(draft, recordFile);
}

function removeRecordOf(recordFile: string, pid: number): void {
  if (readRecord(recordFile)?.process.pid === pid) rmSync(recordFile, { force: true });
}

/**
 * Reads its input until that ends, then runs the reaper on it. It is a shell, because a waiting
 * Node process takes 70 MB. A signal to the owner's session must not end the wait.
 */
const waitForOwner = `
trap '' INT TERM HUP
lines=
while IFS= read -r line; do lines="$lines$line
"; done
printf %s "$lines" | "$0" "$1"
`;

let watchdogInput: NodeJS.WritableStream | undefined;

/** One helper process per owner: when the owner ends, the helper's input ends, and it cleans up. */
function watchdog(): NodeJS.WritableStream {
  if (watchdogInput) return watchdogInput;
  const reaper = join(import.meta.dirname, 'watchdog.ts');
  const child = spawn('/bin/sh', ['-c', waitForOwner, process.execPath, reaper], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  const { stdin } = child;
  const forget = () => {
    if (watchdogInput === stdin) watchdogInput = undefined;
  };
  child.on('error', forget);
  child.on('exit', forget);
  // Without its watchdog, the next start still finds an orphan.
  stdin.on('error', forget);
  child.unref();
  if ('unref' in stdin && typeof stdin.unref === 'function') stdin.unref();
  stdin.write(`${JSON.stringify(processIdentity(process.pid))}\n`);
  watchdogInput = stdin;
  return stdin;
}
