/**
 * A place in a log. Incarnations are ULIDs, so a later one compares greater, whatever the sequence.
 */
export type Position = { incarnation: string; sequence: number };

/** Negative, zero or positive if `a` is before, at or after `b`. */
export function comparePositions(a: Position, b: Position): number {
  if (a.incarnation !== b.incarnation) return a.incarnation < b.incarnation ? -1 : 1;
  return a.sequence - b.sequence;
}

/** Whether `reached` is at or past `required`. */
export function hasReached(reached: Position | undefined, required: Position): boolean {
  return reached !== undefined && comparePositions(reached, required) >= 0;
}
