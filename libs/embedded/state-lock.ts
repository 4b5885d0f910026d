import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive, isIdentity, type ProcessIdentity, processIdentity } from './process-identity.ts';

/** The exclusive use of a state directory by one process. */
export interface StateLock {
  release(): Promise<void>;
}

/**
 * Takes the lock of a state directory. One that a dead process left is cleared away.
 * Throws when a living process holds it.
 */
export async function lockState(directory: string): Promise<StateLock> {
  await mkdir(directory, { recursive: true });
  const file = join(directory, 'lock');
  const own = `${JSON.stringify(processIdentity(process.pid))}\n`;
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, own);
  try {
    for (let attempt = 1; attempt <= 10; attempt += 1) {
      // A link appears whole or not at all, and only where nothing is yet.
      if (await succeeds(link(draft, file))) return { release: () => release(file, own) };
      const text = await readFile(file, 'utf8').catch(() => '');
      const holder = parseIdentity(text);
      if (holder && isAlive(holder)) {
        throw new Error(
          `${directory} is in use: a Silo runs there already, pid ${holder.pid}. Stop it first, or set SILO_DIRECTORY to another directory.`,
        );
      }
      await clearStale(file, text);
    }
    throw new Error(`${file} could not be taken`);
  } finally {
    await rm(draft, { force: true });
  }
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
