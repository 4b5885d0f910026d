import type { Clock } from '@silo/runtime/clock.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import {
  type DeadTokenUse,
  keptText,
  sumOf,
  usesMax as usesOfProjectMax,
} from '../rules/dead-tokens.ts';

const usesMax = 1_000;
/** Uses that are put back leave places for new ones: they may fail again. */
const putBackMax = usesMax / 2;
/** As many as a report lists. Further ones of a token are counted together. */
const usesOfTokenMax = usesOfProjectMax;
/** So many tokens that are none of a project are not counted again, each for so long. */
const ignoredMax = 10_000;
const ignoredMs = 60_000;

/**
 * A request with a dead project token: it was refused, or its captures were forwarded. `library` and
 * `origin` are as the sender states them, or ''.
 */
export type DeadTokenRequest = {
  /** SHA-256 of the token. */
  tokenHash: Uint8Array;
  /** Its project; absent: the token service of this region may know it. */
  projectId?: string;
  /** The library: `$lib` or the user agent. */
  library: string;
  /** The web page's origin. */
  origin: string;
  /** Where the captures were passed on to; absent: they were refused. */
  forwardedRegion?: string;
};

/** Uses of one token by one library and web page. */
export type CountedUse = {
  tokenHash: Buffer;
  projectId: string | undefined;
  use: DeadTokenUse;
};

/**
 * Counts requests with dead tokens in memory, so that a refusal costs no I/O; a loop takes the counts.
 * Holds at most 1,000 different uses. Of each token it holds 100, and counts further ones together as
 * one. Until the loop's next turn it does not count uses for which it has no room.
 */
export class DeadTokenCounter {
  readonly #clock: Clock;
  #uses = new Map<string, CountedUse>();
  /** How many different uses there are of each token. */
  #usesOf = new Map<string, number>();
  /** When tokens were found to be none of a project, the longest ago first. */
  readonly #ignoredSinceMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  record({ tokenHash, projectId, library, origin, forwardedRegion }: DeadTokenRequest): void {
    const hash = Buffer.from(tokenHash);
    const token = hash.toString('base64');
    if (projectId === undefined && this.#isIgnored(token)) return;
    const said = { library: keptText(library), origin: keptText(origin) };
    const usesOfToken = this.#usesOf.get(token) ?? 0;
    const isListed =
      this.#uses.has(nameOf(token, { ...said, forwardedRegion })) || usesOfToken < usesOfTokenMax;
    const names = isListed ? said : { library: '', origin: '' };
    const now = this.#clock.now();
    const name = nameOf(token, { ...names, forwardedRegion });
    const present = this.#uses.get(name);
    if (present !== undefined) {
      present.use.count++;
      present.use.lastTime = now;
      present.projectId ??= projectId;
    } else if (this.#uses.size < usesMax) {
      const use: DeadTokenUse = {
        ...{ fingerprint: fingerprintOf(hash), ...names },
        ...{ count: 1, firstTime: now, lastTime: now },
        ...(forwardedRegion !== undefined && { forwardedRegion }),
      };
      this.#uses.set(name, { tokenHash: hash, projectId, use });
      this.#usesOf.set(token, usesOfToken + 1);
    }
  }

  /** Counts again what was taken and could not be stored. Above half of the places it is dropped. */
  putBack(taken: readonly CountedUse[]): void {
    for (const each of taken) {
      const { tokenHash, use } = each;
      const token = tokenHash.toString('base64');
      const name = nameOf(token, use);
      const present = this.#uses.get(name);
      if (present !== undefined) present.use = sumOf(present.use, use);
      else if (this.#uses.size < putBackMax) {
        this.#uses.set(name, each);
        this.#usesOf.set(token, (this.#usesOf.get(token) ?? 0) + 1);
      }
    }
  }

  /** Counts tokens that are none of a project no more for a minute: what is made up has no end. */
  ignore(tokenHashes: readonly Uint8Array[]): void {
    for (const tokenHash of tokenHashes) {
      const token = Buffer.from(tokenHash).toString('base64');
      this.#ignoredSinceMs.delete(token);
      this.#ignoredSinceMs.set(token, this.#clock.monotonicMs());
    }
    forgetOldest(this.#ignoredSinceMs, ignoredMax);
  }

  #isIgnored(token: string): boolean {
    const sinceMs = this.#ignoredSinceMs.get(token);
    return sinceMs !== undefined && this.#clock.monotonicMs() - sinceMs < ignoredMs;
  }

  /** What was counted since the last call. */
  take(): CountedUse[] {
    const uses = [...this.#uses.values()];
    this.#uses = new Map();
    this.#usesOf = new Map();
    return uses;
  }
}

type Names = { library: string; origin: string; forwardedRegion?: string | undefined };

function nameOf(token: string, { library, origin, forwardedRegion }: Names): string {
  return JSON.stringify([token, library, origin, forwardedRegion]);
}
