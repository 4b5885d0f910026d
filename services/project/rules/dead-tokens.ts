import { redactText } from '@silo/runtime/redact.ts';

const dayMs = 24 * 60 * 60 * 1000;
/** Time for which a use is reported after it was last seen. */
const reportedMs = 30 * dayMs;
/** Maximum number of listed uses of a project, by library and origin. */
export const usesMax = 100;
/** Maximum number of listed tokens of a project. */
const tokensMax = 100;
const textMax = 200;

/** Uses of a dead token by one library and web page. */
export type DeadTokenUse = {
  /** The first 12 hex digits of the token's SHA-256; '' for all tokens that are not listed. */
  fingerprint: string;
  /**
   * '' if the client did not send it, and for uses that are counted together because there was no
   * place.
   */
  library: string;
  origin: string;
  count: number;
  firstTime: Date;
  lastTime: Date;
  /** The region to which the captures were forwarded; absent if they were refused. */
  forwardedRegion?: string;
};

/** The form in which a client's text may be stored: short, well formed and without secrets. */
export function keptText(text: string): string {
  // Redact first: a cut secret would not be found.
  return redactText(text).slice(0, textMax).toWellFormed();
}

/**
 * Adds uses to those of a project, and drops those that ended 30 days ago. Lists the 100 most used
 * tokens, and counts the uses of all others as one. If there are more than 100 uses, each token
 * keeps an equal share: its most frequent uses. The other uses of a token are counted as one. So
 * the sender of a dead token that invents names displaces neither other tokens nor more frequent
 * uses.
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

/** Counts together the uses of all tokens except the 100 most used. */
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

/** The most frequent use of each token, then the second of each, and so on. */
function inTurns(uses: readonly DeadTokenUse[]): DeadTokenUse[] {
  const tokens = Map.groupBy(byCount(uses), ({ fingerprint }) => fingerprint);
  const placed = [...tokens.values()].flatMap((those) =>
    those.map((use, place) => ({ use, place })),
  );
  return placed.sort((a, b) => a.place - b.place).map(({ use }) => use);
}

/**
 * Most frequent first; among equals the latest first: an invented use is displaced when the others
 * are used again.
 */
function byCount(uses: readonly DeadTokenUse[]): DeadTokenUse[] {
  return uses.toSorted((a, b) => b.count - a.count || b.lastTime.getTime() - a.lastTime.getTime());
}

/** The uses of the last 30 days, latest first. */
export function recentUses(uses: readonly DeadTokenUse[], now: Date): DeadTokenUse[] {
  const since = now.getTime() - reportedMs;
  return uses
    .filter(({ lastTime }) => lastTime.getTime() > since)
    .sort((a, b) => b.lastTime.getTime() - a.lastTime.getTime());
}

function nameOf({ fingerprint, library, origin, forwardedRegion }: DeadTokenUse): string {
  return JSON.stringify([fingerprint, library, origin, forwardedRegion]);
}

/** Merges two uses. */
export function sumOf(a: DeadTokenUse, b: DeadTokenUse): DeadTokenUse {
  return {
    ...a,
    count: a.count + b.count,
    firstTime: new Date(Math.min(a.firstTime.getTime(), b.firstTime.getTime())),
    lastTime: new Date(Math.max(a.lastTime.getTime(), b.lastTime.getTime())),
  };
}
