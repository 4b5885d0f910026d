import { randomUUID } from 'node:crypto';
import { chmod, link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, isIdentity, type ProcessIdentity, processIdentity } from './process-identity.ts';

/** The exclusive use of a state directory by one process. */
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
 * Takes the lock of a state directory; a dead holder counts for nothing.
 * Throws when a living process holds it, unless that one is about to end: then this waits.
 *
 * Turns are files with rising numbers, and the highest counts. Nobody removes a stale lock to make
 * room for its own, so no two can do it at once: the process that creates the next number has it.
 */
export async function lockState(directory: string): Promise<StateLock> {
  const turns = join(directory, 'lock');
  await mkdir(turns, { recursive: true, mode: 0o700 });
  // It may be of a release that let others read.
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
    // A link appears whole or not at all, and only where nothing is yet.
    await writeTurn(turns, number, 'held', link);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
  const numbers = await listTurns(turns);
  // This number had been used and cleared away while we looked: a later turn is on.
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
    // Cleared away in between, because a later one is there.
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
    // What is unreadable was never written by us: nobody holds it.
  }
  return { phase: 'released', holder: undefined };
}
