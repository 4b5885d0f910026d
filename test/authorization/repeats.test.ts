/**
 * A repeat of a request is authorized like the call: every mutation, with every kind of weaker key.
 */
import { mutations } from '../scenarios/mutations.ts';
import { scenarios } from '../scenarios/support.ts';
import { demandAuthorizedRepeats } from './authorized-repeats.ts';
import { expected } from './expected.ts';

const test = scenarios();

for (const [path, { prepare }] of Object.entries(mutations)) {
  const rule = expected[path];
  if (rule === undefined || !('scope' in rule)) continue;
  test(`${path}: a repeat is authorized like the call`, async (t) => {
    const { silo } = t.context;
    await demandAuthorizedRepeats(t, silo, path, await prepare(silo));
  });
}

test('every mutation that keys can call is tested', (t) => {
  const others = Object.keys(mutations).filter((path) => {
    const rule = expected[path];
    return rule === undefined || !('scope' in rule);
  });
  t.deepEqual(others.sort(), [
    '/silo.org.internal.v1.StaffService/ChangeEmail',
    '/silo.org.internal.v1.StaffService/CreateAccount',
    '/silo.org.v1.AccountService/CreateAccount',
    '/silo.token.internal.v1.StaffService/IssueApiKey',
  ]);
});
