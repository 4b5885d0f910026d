import type { Clock } from '@silo/runtime/clock.ts';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import { type DeadTokenUse, keptText } from '../../rules/dead-tokens.ts';

const usesMax = 1_000;

/** A project token that was refused, and what its sender says of itself; '' where it does not. */
export type RefusedToken = {
  /** SHA-256 of the token. */
  tokenHash: Uint8Array;
  /** The library: `$lib` or the user agent. */
  library: string;
  /** The web page's origin. */
  origin: string;
};

/** Uses of one refused token. */
export type RefusedUses = { tokenHash: Buffer; use: DeadTokenUse };

/**
 * Counts refused tokens in memory, so that a refusal costs no I/O; a loop takes the counts. Holds
 * 1,000 different uses at most: what comes beside them until the next turn is not counted.
 */
export class RefusedTokens {
  readonly #clock: Clock;
  #uses = new Map<string, RefusedUses>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  record({ tokenHash, library, origin }: RefusedToken): void {
    const now = this.#clock.now();
    const hash = Buffer.from(tokenHash);
    const [keptLibrary, keptOrigin] = [keptText(library), keptText(origin)];
    const name = JSON.stringify([hash.toString('base64'), keptLibrary, keptOrigin]);
    const present = this.#uses.get(name);
    if (present !== undefined) {
      present.use.count++;
      present.use.lastTime = now;
    } else if (this.#uses.size < usesMax) {
      const use: DeadTokenUse = {
        ...{ fingerprint: fingerprintOf(hash), library: keptLibrary, origin: keptOrigin },
        ...{ count: 1, firstTime: now, lastTime: now },
      };
      this.#uses.set(name, { tokenHash: hash, use });
    }
  }

  /** What was counted since the last call. */
  take(): RefusedUses[] {
    const uses = [...this.#uses.values()];
    this.#uses = new Map();
    return uses;
  }
}
