/** An invariant that does not hold. */
export type Violation = {
  /** Its name, for people and tests. */
  invariant: string;
  /** Of what it does not hold, and what was found. */
  found: string;
};

/** Collects what is wrong. */
export class Findings {
  readonly violations: Violation[] = [];

  /** Notes a violation unless it holds. */
  expect(holds: boolean, invariant: string, found: string): void {
    if (!holds) this.violations.push({ invariant, found });
  }
}
