/** Silo's own guard follows the protocol in docs/guard-protocol.md. */
import { join } from 'node:path';
import test from 'ava';
import { certificate } from '../harness/certificates.ts';
import { required } from '../harness/environment.ts';
import { eventually } from '../harness/eventually.ts';
import { cases } from './cases.ts';
import { runCase } from './run-case.ts';

const command = [process.execPath, join(import.meta.dirname, 'our-guard.ts')] as const;

function world() {
  return {
    natsUrl: required('NATS_URL'),
    certificates: { service: certificate('service-token'), guard: certificate('guard-edge') },
    command,
  };
}

for (const each of cases) {
  test.serial(each.rule, async (t) => {
    await t.notThrowsAsync(runCase(each, world()));
  });
}

/**
 * Rules that Silo's guard violates without one of its protections; the case of each must detect
 * that.
 */
const controls = {
  'batch-within-its-head': 'an event past the head that its batch states is ignored',
  'no-caching-stale-fetches': 'a fact that an event ended during its fetch is not remembered',
} as const;

for (const [without, rule] of Object.entries(controls)) {
  test.serial(`a guard that violates a rule is detected: ${without}`, async (t) => {
    const found = cases.find((each) => each.rule === rule);
    if (found === undefined) return t.fail(`no case of ${rule}`);
    const options = { ...world(), command: withoutProtection(without) };
    const broken = await eventually(async () => {
      const [ended] = await Promise.allSettled([runCase(found, options)]);
      // On a busy machine the guard's fetch may come too late to show the violation.
      if (ended.status === 'fulfilled') throw new Error('the guard keeps the rule');
      return ended.reason;
    });
    t.true(broken instanceof Error);
  });
}

function withoutProtection(name: string) {
  return ['env', `GUARD_WITHOUT=${name}`, ...command] as const;
}
