import type { Clock } from '@silo/runtime/clock.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import { isHeld, isTokenInvalid, regionOf } from './http-refusal.ts';

/** For how long the answer that a project is held counts for all captures that wait for it. */
const heldMs = 25;
/** Tokens; each is forgotten when a capture learns that its project is held there no longer. */
const knownMax = 10_000;

/** A capture without its events, and with them. */
type Calls<T> = { ask(): Promise<void>; send(): Promise<T> };

/**
 * Which projects other regions hold for a cutover, by their tokens. However many captures wait for one,
 * one of them asks at a time, without its events: that region is busy with the cutover.
 */
export class HeldElsewhere {
  readonly #clock: Clock;
  readonly #known = new Map<string, { refusal: unknown; untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sends a capture to the region of its project. While that holds it, rejects with its refusal. */
  async pass<T>(region: string, token: string, { ask, send }: Calls<T>): Promise<T> {
    const name = `${region} ${token}`;
    const known = this.#known.get(name);
    if (known !== undefined) {
      if (this.#clock.monotonicMs() < known.untilMs) throw known.refusal;
      known.untilMs = Number.POSITIVE_INFINITY;
      try {
        await ask();
      } catch (error) {
        const isGone = regionOf(error) !== undefined || isTokenInvalid(error);
        if (isGone) this.#known.delete(name);
        // Whatever else it refuses may depend on who asks: the next one asks at once.
        else known.untilMs = isHeld(error) ? this.#clock.monotonicMs() + heldMs : 0;
        throw error;
      }
      this.#known.delete(name);
    }
    try {
      return await send();
    } catch (error) {
      if (isHeld(error)) this.#hold(name, error);
      throw error;
    }
  }

  #hold(name: string, refusal: unknown): void {
    this.#known.set(name, { refusal, untilMs: this.#clock.monotonicMs() + heldMs });
    forgetOldest(this.#known, knownMax);
  }
}
