/** The services whose events end facts. */
export const sources = ['org', 'project', 'token'] as const;
export type Source = (typeof sources)[number];

/**
 * A place in a source's log. Incarnations are ULIDs, so that a later life of the log compares
 * greater, whatever the sequence.
 */
export type Position = { incarnation: string; sequence: number };

/** A place in each log; what is not named is not known. */
export type Positions = Partial<Record<Source, Position>>;

/** Negative, zero or positive as `a` is before, at or after `b`. */
export function comparePositions(a: Position, b: Position): number {
  if (a.incarnation !== b.incarnation) return a.incarnation < b.incarnation ? -1 : 1;
  return a.sequence - b.sequence;
}

/** Whether `reached` is at or past `required`. */
export function hasReached(reached: Position | undefined, required: Position): boolean {
  return reached !== undefined && comparePositions(reached, required) >= 0;
}

/** Whether every required position has been reached. */
export function haveReached(reached: Positions, required: Positions): boolean {
  return sources.every((source) => {
    const position = required[source];
    return position === undefined || hasReached(reached[source], position);
  });
}

/** The later position of each source. */
export function laterOf(a: Positions, b: Positions): Positions {
  const later: Positions = { ...a };
  for (const source of sources) {
    const position = b[source];
    if (position !== undefined && !hasReached(later[source], position)) later[source] = position;
  }
  return later;
}
