import { hasReached, type Position } from '@silo/log/position.ts';

/** The services whose events end facts. */
export const sources = ['org', 'project', 'token'] as const;
export type Source = (typeof sources)[number];

/** A position in each log; a source that is missing has an unknown position. */
export type Positions = Partial<Record<Source, Position>>;

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
