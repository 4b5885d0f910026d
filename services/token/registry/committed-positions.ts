import { laterOf, type Positions, type Source, sources } from '@silo/guard/core/position.ts';
import type { Protections } from '@silo/guard/core/protections.ts';
import type { Position } from '@silo/log/position.ts';

/**
 * The positions that each source is known to have committed. They are lower bounds, from the
 * sources' requirements, broadcasts and log heads. A guard's position is accepted only within them.
 */
export class Committed {
  readonly #protections: Protections;
  #known: Positions = {};

  constructor(protections: Protections) {
    this.#protections = protections;
  }

  /** Records positions that sources have committed. Returns whether they are news. */
  learn(positions: Positions): boolean {
    const before = this.#known;
    this.#known = laterOf(before, positions);
    return sources.some((source) => this.#known[source] !== before[source]);
  }

  /** Whether a source's log contains this position, in its present incarnation. */
  holds(source: Source, claim: Position): boolean {
    const known = this.#known[source];
    const { incarnation, sequence } = claim;
    const isPresent = known?.incarnation === incarnation;
    if (!this.#protections['present-incarnation'] && !isPresent) return true;
    if (!isPresent) return false;
    return !this.#protections['committed-positions'] || sequence <= known.sequence;
  }

  /** Returns the sources for which the claimed position is not known to exist. */
  beyond(claims: Positions): Source[] {
    return sources.filter((source) => {
      const claim = claims[source];
      return claim !== undefined && !this.holds(source, claim);
    });
  }

  /** Returns the claims whose positions are known to exist. */
  accepted(claims: Positions): Positions {
    const accepted: Positions = { ...claims };
    for (const source of this.beyond(claims)) delete accepted[source];
    return accepted;
  }
}
