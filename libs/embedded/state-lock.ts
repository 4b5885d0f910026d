import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, isIdentity, type ProcessIdentity, processIdentity } from './process-identity.ts';

/** The exclusive use of a state directory by one process. */
export interface StateLock {
  /** Says that the release is near, so that whoever comes now waits instead of giving up. */
  announceRelease(): Promise<void>;
  release(): Promise<void>;
}

const releaseWithinMs = 20_000;
const pauseMs = 50;

/**
 * Takes the lock of a state directory. One that a dead process left is cleared away.
 * Throws when a living process holds it, unless that one is about to end: then this waits.
 */
export async function lockState(directory: string): Promise<StateLock> {
  await mkdir(directory, { recursive: true });
  const file = join(directory, 'lock');
  const own = `${JSON.stringify(processIdentity(process.pid))}\n`;
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, own);
  try {
    const deadline = performance.now() + releaseWithinMs;
    while (performance.now() < deadline) {
      // A link appears whole or not at all, and only where nothing is yet.
      if (await succeeds(link(draft, file))) return heldLock(file, own);
      const text = await readFile(file, 'utf8').catch(() => '');
      const holder = parseIdentity(text);
      if (!holder || !isAlive(holder)) {
        await clearStale(file, text);
      } else if (await isReleaseAnnounced(file, text)) {
        await delay(pauseMs);
      } else if ((await readFile(file, 'utf8').catch(() => '')) === text) {
        throw new Error(
          `${directory} is in use: a Silo runs there already, pid ${holder.pid}. Stop it first, or set SILO_DIRECTORY to another directory.`,
        );
      }
    }
    throw new Error(`${file} could not be taken within ${releaseWithinMs / 1000} s`);
  } finally {
    await rm(draft, { force: true });
  }
}

function heldLock(file: string, own: string): StateLock {
  return {
    announceRelease: () => writeFile(announcementOf(file), own),
    release: async () => {
      await release(file, own);
      await rm(announcementOf(file), { force: true });
    },
  };
}

function announcementOf(file: string): string {
  return `${file}.ending`;
}

/** Whether the announcement is that of the present holder, not one that a dead one left. */
async function isReleaseAnnounced(file: string, holder: string): Promise<boolean> {
  return (await readFile(announcementOf(file), 'utf8').catch(() => '')) === holder;
}

async function release(file: string, own: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => '')) === own) await rm(file, { force: true });
}

/** Removes exactly the lock that was judged stale, not one that another process has just taken. */
async function clearStale(file: string, judged: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  if (!(await succeeds(rename(file, aside)))) return;
  if ((await readFile(aside, 'utf8').catch(() => '')) !== judged) await succeeds(link(aside, file));
  await rm(aside, { force: true });
}

function parseIdentity(text: string): ProcessIdentity | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isIdentity(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

async function succeeds(action: Promise<unknown>): Promise<boolean> {
  return action.then(
    () => true,
    () => false,
  );
}
