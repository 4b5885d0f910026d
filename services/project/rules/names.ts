/** A name as it is searched and sorted: without its case. */
export function foldName(name: string): string {
  return name.toLowerCase();
}
