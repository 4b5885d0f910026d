/** What every organization starts with. */
export const defaultProjectName = 'Default Project';

/** What most companies want, in this order. */
export const recommendedNames = ['Local Development', 'Staging', 'Production'] as const;

/** Those of the recommended that are missing among the names that exist. */
export function missingNames(existing: readonly string[]): string[] {
  return recommendedNames.filter((name) => !existing.includes(name));
}
