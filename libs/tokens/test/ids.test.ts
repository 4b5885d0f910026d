import test from 'ava';
import fc from 'fast-check';
import {
  createIdMaker,
  type IdKind,
  type IdPrefix,
  idPatterns,
  isId,
  newId,
  regionOf,
} from '../ids.ts';

const kinds: [IdPrefix, IdKind][] = [
  ['acc', 'account'],
  ['org_us', 'organization'],
  ['org_eu', 'organization'],
  ['prj', 'project'],
  ['key', 'key'],
  ['inv', 'invite'],
  ['mov', 'move'],
  ['mig_us', 'migration'],
  ['mig_eu', 'migration'],
];

for (const [prefix, kind] of kinds) {
  test(`an id that begins with ${prefix} is an id of its kind and of no other`, (t) => {
    const id = newId(prefix);
    t.true(id.startsWith(`${prefix}_`));
    for (const other of Object.keys(idPatterns) as IdKind[]) t.is(isId(other, id), other === kind);
  });
}

test('the first id depends only on time and randomness', (t) => {
  const now = new Date('2025-01-01T00:00:00Z');
  t.is(createIdMaker(() => 0)('prj', { now }), 'prj_01jgfjjz000000000000000000');
  t.is(createIdMaker(() => 0.999)('org_us', { now }), 'org_us_01jgfjjz00zzzzzzzzzzzzzzzz');
});

test('ids of two makers sort by time', (t) => {
  // Not from 0, which the library takes for "now".
  const time = fc.integer({ min: 1, max: 2 ** 45 });
  const idAt = (timeMs: number) => createIdMaker()('mov', { now: new Date(timeMs) });
  fc.assert(fc.property(time, time, (a, b) => a === b || a < b === idAt(a) < idAt(b)));
  t.pass();
});

test('ids of one maker sort in the order in which they were made, whatever the clock shows', (t) => {
  const makeId = createIdMaker();
  const times = [2_000, 2_000, 1_000, 3_000, 2_999, 3_000];
  const ids = times.map((timeMs) => makeId('prj', { now: new Date(timeMs) }));
  t.deepEqual(ids.toSorted(), ids);
  t.is(new Set(ids).size, ids.length);
});

test('only the ids of organizations and migrations contain a region', (t) => {
  t.is(regionOf(newId('org_us')), 'us');
  t.is(regionOf(newId('org_eu')), 'eu');
  for (const id of ['', 'org_us_', 'org_us', newId('prj'), `${newId('org_us')}x`]) {
    t.is(regionOf(id), undefined, id);
  }
});

test('a text with upper case, forbidden letters or line ends is not an id', (t) => {
  const id = createIdMaker(() => 0.5)('prj');
  t.false(isId('project', id.toUpperCase()));
  t.false(isId('project', `${id}\n`));
  t.false(isId('project', `${id.slice(0, -1)}u`));
  t.false(isId('project', `prj_8${id.slice(5)}`));
});
