import type { Position } from '@silo/log/position.ts';
import type { Permit } from './permits.ts';

/**
 * How far the events of one source may be acknowledged: up to the first event whose permits are
 * still held.
 */
export class Acknowledgements {
  #waiting: { sequence: number; permits: Permit[] }[] = [];

  /**
   * Records that an event was applied that ends facts on which these permits depend. Sequences
   * never decrease.
   */
  applied(sequence: number, permits: Permit[]): void {
    if (permits.length > 0) this.#waiting.push({ sequence, permits });
  }

  /**
   * Positions begin anew, at a position that does not cover the held permits: nothing is
   * acknowledged until these permits have ended.
   */
  restarted(permits: Permit[]): void {
    const all = [...this.#waiting.flatMap((event) => event.permits), ...permits];
    this.#waiting = [];
    this.applied(0, all);
  }

  /** The part of the applied events that may be acknowledged; undefined if there is none. */
  acknowledgeable(applied: Position | undefined): Position | undefined {
    while (this.#waiting[0]?.permits.every((permit) => permit.over)) this.#waiting.shift();
    const first = this.#waiting[0];
    if (applied === undefined || first === undefined) return applied;
    if (first.sequence === 0) return undefined;
    return { incarnation: applied.incarnation, sequence: first.sequence - 1 };
  }
}
