import { laterOf, type Positions, type Source, sources } from '@silo/guard/core/position.ts';
import type { Protections } from '@silo/guard/core/protections.ts';
import type { Position } from '@silo/log/position.ts';

/**
 * What each source is known to have committed: a lower bound, from what sources require, broadcast
 * and answer. A guard's position is accepted only within it.
 */
export class Committed {
  readonly #protections: Protections;
  #known: Positions = {};

  constructor(protections: Protections) {
    this.#protections = protections;
  }

  /** A source has committed this. Whether that is news. */
  learn(positions: Positions): boolean {
    const before = this.#known;
    this.#known = laterOf(before, positions);
    return sources.some((source) => this.#known[source] !== before[source]);
  }

  /** Whether a source's log holds this place, in its present incarnation. */
  holds(source: Source, claim: Position): boolean {
    const known = this.#known[source];
    const { incarnation, sequence } = claim;
    const isPresent = known?.incarnation === incarnation;
    if (!this.#protections['present-incarnation'] && !isPresent) return true;
    if (!isPresent) return false;
    return !this.#protections['committed-positions'] || sequence <= known.sequence;
  }

  /** The sources of which a place is claimed that is not known to be there. */
  beyond(claims: Positions): Source[] {
    return sources.filter((source) => {
      const claim = claims[source];
      return claim !== undefined && !this.holds(source, claim);
    });
  }

  /** The claims that are possible. */
  accepted(claims: Positions): Positions {
    const accepted: Positions = { ...claims };
    for (const source of this.beyond(claims)) delete accepted[source];
    return accepted;
  }
}
