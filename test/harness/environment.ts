/** The environment that the test runner passes to test files. */
export function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with npm test -- <files>`);
  return value;
}
