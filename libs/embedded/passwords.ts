import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

const passwordBytes = 24;

/** Makes a password: 192 random bits in characters that need no quoting in a URL or a shell. */
export function makePassword(): string {
  return randomBytes(passwordBytes).toString('base64url');
}

/** The password in a file; undefined if the file does not exist. */
export function readPassword(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a file atomically, readable by its owner only. */
export async function writePrivateFile(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}.tmp`;
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, file);
}

/** The password in a file; creates one if the file does not exist. */
export async function openPassword(file: string): Promise<string> {
  const known = readPassword(file);
  if (known !== undefined) return known;
  const made = makePassword();
  await writePrivateFile(file, `${made}\n`);
  return made;
}
