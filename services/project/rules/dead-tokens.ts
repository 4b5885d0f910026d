import { redactText } from '@silo/runtime/redact.ts';

const dayMs = 24 * 60 * 60 * 1000;
/** How long a use is reported after the last time. */
const reportedMs = 30 * dayMs;
/** Of a project, beside one for each token that stands for all others. */
const usesMax = 100;
const textMax = 200;

/** How a token that is dead was used: by which token, library and web page. */
export type DeadTokenUse = {
  /** The first 12 hex digits of the token's SHA-256. */
  fingerprint: string;
  /** '' where it was not said, and of all uses together for which there was no place. */
  library: string;
  origin: string;
  count: number;
  firstTime: Date;
  lastTime: Date;
};

/** A text that a client sent, as it may be kept: short, well formed and without secrets. */
export function keptText(text: string): string {
  // A secret must not be cut before it is found, nor its search take long.
  return redactText(text.slice(0, 10 * textMax))
    .toWellFormed()
    .slice(0, textMax);
}

/**
 * Adds uses to a project's. Ends those of 30 days ago. Where 100 are listed, further ones of a token
 * are counted together.
 */
export function addUses(
  present: readonly DeadTokenUse[],
  added: readonly DeadTokenUse[],
  now: Date,
): DeadTokenUse[] {
  const uses = new Map(recentUses(present, now).map((use) => [nameOf(use), use]));
  for (const use of added) {
    const isListed = uses.has(nameOf(use)) || uses.size < usesMax;
    const listed = isListed ? use : { ...use, library: '', origin: '' };
    const before = uses.get(nameOf(listed));
    uses.set(nameOf(listed), before === undefined ? listed : sumOf(before, listed));
  }
  return [...uses.values()];
}

/** The uses of the last 30 days, the latest first. */
export function recentUses(uses: readonly DeadTokenUse[], now: Date): DeadTokenUse[] {
  const since = now.getTime() - reportedMs;
  return uses
    .filter(({ lastTime }) => lastTime.getTime() > since)
    .sort((a, b) => b.lastTime.getTime() - a.lastTime.getTime());
}

function nameOf({ fingerprint, library, origin }: DeadTokenUse): string {
  return JSON.stringify([fingerprint, library, origin]);
}

function sumOf(a: DeadTokenUse, b: DeadTokenUse): DeadTokenUse {
  return {
    ...a,
    count: a.count + b.count,
    firstTime: new Date(Math.min(a.firstTime.getTime(), b.firstTime.getTime())),
    lastTime: new Date(Math.max(a.lastTime.getTime(), b.lastTime.getTime())),
  };
}
