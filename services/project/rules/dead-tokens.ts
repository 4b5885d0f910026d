import { redactText } from '@silo/runtime/redact.ts';

const dayMs = 24 * 60 * 60 * 1000;
/** How long a use is reported after the last time. */
const reportedMs = 30 * dayMs;
/** Uses of a project that are listed by library and origin. */
export const usesMax = 100;
/** Tokens of a project that are listed. */
const tokensMax = 100;
const textMax = 200;

/** How a token that is dead was used: by which token, library and web page. */
export type DeadTokenUse = {
  /** The first 12 hex digits of the token's SHA-256; '' for all tokens that are not listed. */
  fingerprint: string;
  /** '' where it was not said, and of all uses together for which there was no place. */
  library: string;
  origin: string;
  count: number;
  firstTime: Date;
  lastTime: Date;
  /** Where the captures were passed on to; absent: they were refused. */
  forwardedRegion?: string;
};

/** A text that a client sent, as it may be kept: short, well formed and without secrets. */
export function keptText(text: string): string {
  // A secret must not be cut before it is found.
  return redactText(text).slice(0, textMax).toWellFormed();
}

/**
 * Adds uses to those of a project, and drops those that ended 30 days ago. Lists the 100 most used
 * tokens, and counts the uses of all others as one. Of more than 100 uses, each token keeps an equal
 * share: its most frequent uses. The rest of a token is counted as one use. So the sender of a dead
 * token that invents names displaces neither other tokens nor more frequent uses.
 */
export function addUses(
  present: readonly DeadTokenUse[],
  added: readonly DeadTokenUse[],
  now: Date,
): DeadTokenUse[] {
  const uses = withoutRareTokens(summed([...recentUses(present, now), ...added]));
  const named = uses.filter(({ library, origin }) => library !== '' || origin !== '');
  const kept = new Set(inTurns(named).slice(0, usesMax));
  const isNamed = new Set(named);
  return summed(
    uses.map((use) =>
      isNamed.has(use) && !kept.has(use) ? { ...use, library: '', origin: '' } : use,
    ),
  );
}

/** Counts together the uses of all tokens but the 100 most used. */
function withoutRareTokens(uses: readonly DeadTokenUse[]): DeadTokenUse[] {
  const ofTokens = uses.map((use) => ({ ...use, library: '', origin: '', forwardedRegion: '' }));
  const tokens = byCount(summed(ofTokens).filter(({ fingerprint }) => fingerprint !== ''));
  const kept = new Set(tokens.slice(0, tokensMax).map(({ fingerprint }) => fingerprint));
  const others = { fingerprint: '', library: '', origin: '' };
  return summed(uses.map((use) => (kept.has(use.fingerprint) ? use : { ...use, ...others })));
}

function summed(uses: readonly DeadTokenUse[]): DeadTokenUse[] {
  const sums = new Map<string, DeadTokenUse>();
  for (const use of uses) {
    const before = sums.get(nameOf(use));
    sums.set(nameOf(use), before === undefined ? use : sumOf(before, use));
  }
  return [...sums.values()];
}

/** The most counted use of each token, then the second of each, and so on. */
function inTurns(uses: readonly DeadTokenUse[]): DeadTokenUse[] {
  const tokens = Map.groupBy(byCount(uses), ({ fingerprint }) => fingerprint);
  const placed = [...tokens.values()].flatMap((those) =>
    those.map((use, place) => ({ use, place })),
  );
  return placed.sort((a, b) => a.place - b.place).map(({ use }) => use);
}

/**
 * The most counted first; of those that count the same the latest: a use that was made up once is
 * displaced when the others are used again.
 */
function byCount(uses: readonly DeadTokenUse[]): DeadTokenUse[] {
  return uses.toSorted((a, b) => b.count - a.count || b.lastTime.getTime() - a.lastTime.getTime());
}

/** The uses of the last 30 days, the latest first. */
export function recentUses(uses: readonly DeadTokenUse[], now: Date): DeadTokenUse[] {
  const since = now.getTime() - reportedMs;
  return uses
    .filter(({ lastTime }) => lastTime.getTime() > since)
    .sort((a, b) => b.lastTime.getTime() - a.lastTime.getTime());
}

function nameOf({ fingerprint, library, origin, forwardedRegion }: DeadTokenUse): string {
  return JSON.stringify([fingerprint, library, origin, forwardedRegion]);
}

/** Two uses as one. */
export function sumOf(a: DeadTokenUse, b: DeadTokenUse): DeadTokenUse {
  return {
    ...a,
    count: a.count + b.count,
    firstTime: new Date(Math.min(a.firstTime.getTime(), b.firstTime.getTime())),
    lastTime: new Date(Math.max(a.lastTime.getTime(), b.lastTime.getTime())),
  };
}
