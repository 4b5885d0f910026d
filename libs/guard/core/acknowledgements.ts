import type { Position } from '@silo/log/position.ts';
import type { Permit } from './permits.ts';

/**
 * How far one source's events may be acknowledged: up to the first whose permits are still held.
 */
export class Acknowledgements {
  #waiting: { sequence: number; permits: Permit[] }[] = [];

  /** An event was applied that ends what these permits rest on. Sequences never fall. */
  applied(sequence: number, permits: Permit[]): void {
    if (permits.length > 0) this.#waiting.push({ sequence, permits });
  }

  /**
   * Positions begin anew, at a place that says nothing of the permits that are held: nothing is
   * acknowledged until these are over.
   */
  restarted(permits: Permit[]): void {
    const all = [...this.#waiting.flatMap((event) => event.permits), ...permits];
    this.#waiting = [];
    this.applied(0, all);
  }

  /** What may be acknowledged of what is applied; undefined: nothing. */
  acknowledgeable(applied: Position | undefined): Position | undefined {
    while (this.#waiting[0]?.permits.every((permit) => permit.over)) this.#waiting.shift();
    const first = this.#waiting[0];
    if (applied === undefined || first === undefined) return applied;
    if (first.sequence === 0) return undefined;
    return { incarnation: applied.incarnation, sequence: first.sequence - 1 };
  }
}
