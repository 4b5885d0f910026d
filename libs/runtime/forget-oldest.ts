/**
 * Removes the oldest entries of a map above this size; a Map keeps the order of insertion.
 * lru-cache is not used, because it allocates memory for its full size at once (about 1.5 MB for
 * the 65,536 keys of a port).
 */
export function forgetOldest(map: Map<unknown, unknown>, sizeMax: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= sizeMax) return;
    map.delete(oldest);
  }
}
