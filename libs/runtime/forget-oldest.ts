/** Removes the oldest entry of a map above this size; a Map keeps insertion order. */
export function forgetOldest(map: Map<unknown, unknown>, sizeMax: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= sizeMax) return;
    map.delete(oldest);
  }
}
