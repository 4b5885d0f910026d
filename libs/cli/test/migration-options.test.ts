import test from 'ava';
import { Failure } from '../failure.ts';
import { requireOneCaller } from '../find-migration.ts';
import { whereOf } from '../staff.ts';

test('staff options are refused without --staff, and --org is refused with it', (t) => {
  const refused = (options: Parameters<typeof requireOneCaller>[0]) =>
    t.throws(() => requireOneCaller(options), { instanceOf: Failure });
  t.is(refused({ endpoints: 'eu.json' })?.next, 'add --staff, or give --profile');
  t.is(refused({ dev: true })?.exit, 'usage');
  t.is(refused({ staff: true, org: 'Example' })?.next, 'leave --org out');
  for (const options of [{}, { org: 'Example' }, { staff: true, endpoints: 'eu.json' }] as const) {
    t.notThrows(() => requireOneCaller(options));
  }
});

test('advice repeats the staff options, quoted for a shell', (t) => {
  t.is(whereOf({}), '');
  t.is(whereOf({ dev: true }), ' --dev');
  t.is(whereOf({ endpoints: '../eu.json' }), ' --endpoints ../eu.json');
  t.is(whereOf({ endpoints: "it's eu.json" }), " --endpoints 'it'\\''s eu.json'");
});
