import { randomUUID } from 'node:crypto';
import { chmod, link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, isIdentity, type ProcessIdentity, processIdentity } from './process-identity.ts';

/** Exclusive use of a state directory by one process. */
export interface StateLock {
  /** Announces the release, so that other processes wait instead of failing. */
  announceRelease(): Promise<void>;
  release(): Promise<void>;
}

type Phase = 'held' | 'ending' | 'released';

interface Turn {
  number: number;
  phase: Phase;
  holder: ProcessIdentity | undefined;
}

const takenWithinMs = 20_000;
const pauseMs = 50;

/**
 * Takes the lock of a state directory; the lock of a dead process does not count. If a living
 * process holds it, throws, or waits if that process has announced its release.
 * Turns are files with rising numbers, and the highest one counts. The process that creates the
 * next number holds the lock. No process removes a stale lock to make room for its own, so two
 * processes cannot do so at once.
 */
export async function lockState(directory: string): Promise<StateLock> {
  const turns = join(directory, 'lock');
  await mkdir(turns, { recursive: true, mode: 0o700 });
  // The directory may come from a release that let others read it.
  await chmod(directory, 0o700);
  const deadline = performance.now() + takenWithinMs;
  while (performance.now() < deadline) {
    const last = await readLastTurn(turns);
    if (last && last.phase !== 'released' && last.holder && isAlive(last.holder)) {
      if (last.phase === 'held') {
        throw new Error(
          `${directory} is in use: a Silo runs there already, pid ${last.holder.pid}. Stop it first, or set SILO_DIRECTORY to another directory.`,
        );
      }
      await delay(pauseMs);
      continue;
    }
    const number = (last?.number ?? 0) + 1;
    if (await takeTurn(turns, number)) {
      return {
        announceRelease: () => writeTurn(turns, number, 'ending', rename),
        release: () => writeTurn(turns, number, 'released', rename),
      };
    }
  }
  throw new Error(`${directory} could not be locked within ${takenWithinMs / 1000} s`);
}

async function takeTurn(turns: string, number: number): Promise<boolean> {
  try {
    // A link appears atomically, and only if the name does not exist.
    await writeTurn(turns, number, 'held', link);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
  const numbers = await listTurns(turns);
  // This number was used and cleared between reading and linking: a later turn exists.
  const isLast = numbers.every((other) => other <= number);
  const past = isLast ? numbers.filter((other) => other < number) : [number];
  await Promise.all(past.map((other) => rm(join(turns, String(other)), { force: true })));
  return isLast;
}

async function writeTurn(
  turns: string,
  number: number,
  phase: Phase,
  place: (from: string, to: string) => Promise<void>,
): Promise<void> {
  const draft = join(turns, `draft-${randomUUID()}`);
  await writeFile(draft, `${JSON.stringify({ phase, holder: processIdentity(process.pid) })}\n`);
  try {
    await place(draft, join(turns, String(number)));
  } finally {
    await rm(draft, { force: true });
  }
}

async function readLastTurn(turns: string): Promise<Turn | undefined> {
  for (;;) {
    const number = Math.max(0, ...(await listTurns(turns)));
    if (number === 0) return undefined;
    const text = await readFile(join(turns, String(number)), 'utf8').catch(() => undefined);
    // The file was cleared meanwhile, because a later turn exists.
    if (text === undefined) continue;
    return { number, ...parseTurn(text) };
  }
}

async function listTurns(turns: string): Promise<number[]> {
  return (await readdir(turns)).filter((name) => /^\d+$/.test(name)).map(Number);
}

function parseTurn(text: string): Pick<Turn, 'phase' | 'holder'> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'holder' in value && 'phase' in value) {
      const phase = value.phase === 'ending' || value.phase === 'released' ? value.phase : 'held';
      return { phase, holder: isIdentity(value.holder) ? value.holder : undefined };
    }
  } catch {
    // An unreadable file was not written by Silo, so no process holds the lock.
  }
  return { phase: 'released', holder: undefined };
}
