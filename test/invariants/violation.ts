/** An invariant that does not hold. */
export type Violation = {
  /** Its name, for people and tests. */
  invariant: string;
  /** The thing that violates it, and what was found. */
  found: string;
};

/** Collects violations. */
export class Findings {
  readonly violations: Violation[] = [];

  /** Records a violation unless the invariant holds. */
  expect(holds: boolean, invariant: string, found: string): void {
    if (!holds) this.violations.push({ invariant, found });
  }
}
