import type { Clock } from '@silo/runtime/clock.ts';
import { forgetOldest } from '@silo/runtime/forget-oldest.ts';
import { isHeld, isTokenInvalid, regionOf } from './http-refusal.ts';

/** Time for which all captures of a project use the answer that the project is held. */
const heldMs = 25;
/**
 * Maximum number of remembered tokens. A token is forgotten when a capture learns that its project
 * is no longer held there.
 */
const knownMax = 10_000;

/** Sends a capture without its events, or with them. */
type Calls<T> = { ask(): Promise<void>; send(): Promise<T> };

/**
 * Remembers which projects other regions hold for a cutover, by token. Of all captures that wait
 * for a project, one at a time asks the other region, without its events: that region is busy with
 * the cutover.
 */
export class HeldElsewhere {
  readonly #clock: Clock;
  readonly #known = new Map<string, { refusal: unknown; untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Sends a capture to the region of its project. While that region holds the project, rejects with
   * its refusal.
   */
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
        // Other errors may depend on the capture that asks: let the next one ask at once.
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
