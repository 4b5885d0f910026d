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
/** Uses that are put back leave places for new ones, because storing them may fail again. */
const putBackMax = usesMax / 2;
/** The maximum that a report lists. Further uses of a token are counted together. */
const usesOfTokenMax = usesOfProjectMax;
/**
 * Maximum number of tokens without a project that are not counted again, and the time for which
 * they are not.
 */
const ignoredMax = 10_000;
const ignoredMs = 60_000;

/**
 * A request with a dead project token: it was refused, or its captures were forwarded. `library`
 * and `origin` are as the sender sent them, or ''.
 */
export type DeadTokenRequest = {
  /** SHA-256 of the token. */
  tokenHash: Uint8Array;
  /** Its project; absent if only the token service of this region may know it. */
  projectId?: string;
  /** The library: `$lib` or the user agent. */
  library: string;
  /** The web page's origin. */
  origin: string;
  /** The region to which the captures were forwarded; absent if they were refused. */
  forwardedRegion?: string;
};

/** Uses of one token by one library and web page. */
export type CountedUse = {
  tokenHash: Buffer;
  projectId: string | undefined;
  use: DeadTokenUse;
};

/**
 * Counts requests with dead tokens in memory, so that a refusal costs no I/O; a loop takes the
 * counts. Holds at most 1,000 different uses, and at most 100 of each token; further uses of a
 * token are counted together as one. When it is full, it counts no new uses until the loop's next
 * run.
 */
export class DeadTokenCounter {
  readonly #clock: Clock;
  #uses = new Map<string, CountedUse>();
  /** Number of different uses of each token. */
  #usesOf = new Map<string, number>();
  /** Times at which tokens were found to have no project, oldest first. */
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

  /**
   * Adds back uses that could not be stored. Drops new entries when half of the places are taken.
   */
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

  /**
   * Stops counting tokens without a project for a minute: the number of invented tokens is
   * unlimited.
   */
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

  /** Takes the uses that were counted since the last call. */
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
