/** Keeps a map at that size: what was put in first goes first, for a Map keeps that order. */
export function forgetOldest(map: Map<unknown, unknown>, sizeMax: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= sizeMax) return;
    map.delete(oldest);
  }
}
