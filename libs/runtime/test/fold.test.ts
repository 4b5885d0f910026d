import test from 'ava';
import { fold } from '../fold.ts';

test('text folds to one form, whatever its case and normal form', (t) => {
  const alike: [string, ...string[]][] = [
    ['Café', 'Cafe\u0301', 'CAFÉ', 'café'],
    ['İstanbul', 'istanbul', 'ISTANBUL', 'ıstanbul', 'I\u0307stanbul'],
    ['Straße', 'STRASSE', 'STRAẞE', 'strasse'],
    ['ΟΔΟΣ', 'οδος', 'οδοσ'],
    ['ﬁsh', 'FISH'],
    ['\u212bngström', 'ångström', 'A\u030angstro\u0308m'],
    ['가', '\u1100\u1161'],
    ['a\u200db', 'AB'],
  ];
  for (const [first, ...others] of alike) {
    for (const other of others) t.is(fold(other), fold(first), `${other} and ${first}`);
  }
});

test('texts with different meanings stay different', (t) => {
  for (const [one, other] of [
    ['Café', 'Cafe'],
    ['Über', 'Uber'],
    ['a b', 'ab'],
    ['1', '¹'],
  ] as const) {
    t.not(fold(one), fold(other));
  }
});

test('fold is idempotent for every character that may have case', (t) => {
  const changed: string[] = [];
  // The characters beyond are ideographs, tags and private use, which have no case.
  for (let point = 0; point <= 0x1ffff; point++) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    const once = fold(`i${String.fromCodePoint(point)}\u0307`);
    if (fold(once) !== once) changed.push(point.toString(16));
  }
  t.deepEqual(changed, []);
});
