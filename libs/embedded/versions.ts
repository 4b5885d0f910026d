import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** A release, compared number by number. */
export interface Version {
  text: string;
  numbers: readonly number[];
}

const versionTimeoutMs = 60_000;

/** The first `1.2.3` in a text; undefined if there is none. */
export function parseVersion(text: string): Version | undefined {
  const match = /(\d+)\.(\d+)\.(\d+)/.exec(text);
  if (!match) return undefined;
  return { text: match[0], numbers: match.slice(1).map(Number) };
}

/** Negative if `left` is older, 0 if they are equal, positive if `left` is newer. */
export function compareVersions(left: Version, right: Version): number {
  for (const [index, number] of left.numbers.entries()) {
    const difference = number - (right.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Runs `<path> --version`, or with other arguments, and returns the version that it prints. Throws
 * if it does not run (a missing library, another platform) or is older than `minimum`.
 */
export async function proveVersion(
  path: string,
  minimum: Version,
  args: readonly string[] = ['--version'],
): Promise<Version> {
  const { stdout } = await promisify(execFile)(path, args, {
    timeout: versionTimeoutMs,
  }).catch((error: unknown) => {
    throw new Error(`${path} ${args.join(' ')} does not run: ${reasonOf(error)}`);
  });
  const version = parseVersion(stdout);
  if (!version) throw new Error(`${path} ${args.join(' ')} prints no version`);
  if (compareVersions(version, minimum) < 0) {
    throw new Error(`${path} is ${version.text}, older than ${minimum.text}`);
  }
  return version;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stderr = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr.trim() : '';
  return stderr.split('\n')[0] || error.message;
}
