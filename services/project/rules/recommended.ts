/** The first project of every organization. */
export const defaultProjectName = 'Default Project';

/** The recommended projects, in this order. */
export const recommendedNames = ['Local Development', 'Staging', 'Production'] as const;

/** The recommended names that are not among the existing ones. */
export function missingNames(existing: readonly string[]): string[] {
  return recommendedNames.filter((name) => !existing.includes(name));
}
