import test from 'ava';
import fc from 'fast-check';
import { type IdKind, type IdPrefix, idPatterns, isId, newId, regionOf } from '../ids.ts';

const kinds: [IdPrefix, IdKind][] = [
  ['acc', 'account'],
  ['org_us', 'organization'],
  ['org_eu', 'organization'],
  ['prj', 'project'],
  ['key', 'key'],
  ['inv', 'invite'],
  ['mov', 'move'],
  ['mig', 'migration'],
];

for (const [prefix, kind] of kinds) {
  test(`an id that begins with ${prefix} is an id of its kind and of no other`, (t) => {
    const id = newId(prefix);
    t.true(id.startsWith(`${prefix}_`));
    for (const other of Object.keys(idPatterns) as IdKind[]) t.is(isId(other, id), other === kind);
  });
}

test('time and randomness alone decide an id', (t) => {
  const now = new Date('2025-01-01T00:00:00Z');
  t.is(newId('prj', { now, random: () => 0 }), 'prj_01jgfjjz000000000000000000');
  t.is(newId('org_us', { now, random: () => 0.999 }), 'org_us_01jgfjjz00zzzzzzzzzzzzzzzz');
});

test('a later id sorts after an earlier one', (t) => {
  // Not from 0: the library takes that for "now".
  const time = fc.integer({ min: 1, max: 2 ** 45 });
  fc.assert(
    fc.property(time, time, (a, b) => {
      if (a === b) return true;
      return a < b === newId('mov', { now: new Date(a) }) < newId('mov', { now: new Date(b) });
    }),
  );
  t.pass();
});

test('ids of one millisecond differ', (t) => {
  const now = new Date();
  t.is(new Set(Array.from({ length: 1000 }, () => newId('acc', { now }))).size, 1000);
});

test('an organization id carries its region, nothing else does', (t) => {
  t.is(regionOf(newId('org_us')), 'us');
  t.is(regionOf(newId('org_eu')), 'eu');
  for (const id of ['', 'org_us_', 'org_us', newId('prj'), `${newId('org_us')}x`]) {
    t.is(regionOf(id), undefined, id);
  }
});

test('upper case, forbidden letters and line ends make no id', (t) => {
  const id = newId('prj', { random: () => 0.5 });
  t.false(isId('project', id.toUpperCase()));
  t.false(isId('project', `${id}\n`));
  t.false(isId('project', `${id.slice(0, -1)}u`));
  t.false(isId('project', `prj_8${id.slice(5)}`));
});
