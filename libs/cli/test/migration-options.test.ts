import test from 'ava';
import { Failure } from '../failure.ts';
import { requireOneCaller } from '../find-migration.ts';
import { whereOf } from '../staff.ts';

test('the place of staff is refused without --staff, and an organization with it', (t) => {
  const refused = (options: Parameters<typeof requireOneCaller>[0]) =>
    t.throws(() => requireOneCaller(options), { instanceOf: Failure });
  t.is(refused({ endpoints: 'eu.json' })?.next, 'add --staff, or give --profile');
  t.is(refused({ dev: true })?.exit, 'usage');
  t.is(refused({ staff: true, org: 'Example' })?.next, 'leave --org out');
  for (const options of [{}, { org: 'Example' }, { staff: true, endpoints: 'eu.json' }] as const) {
    t.notThrows(() => requireOneCaller(options));
  }
});

test('a hint keeps the place of staff, as a shell reads it', (t) => {
  t.is(whereOf({}), '');
  t.is(whereOf({ dev: true }), ' --dev');
  t.is(whereOf({ endpoints: '../eu.json' }), ' --endpoints ../eu.json');
  t.is(whereOf({ endpoints: "it's eu.json" }), " --endpoints 'it'\\''s eu.json'");
});
