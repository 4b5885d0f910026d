import test from 'ava';
import fc from 'fast-check';
import { encodeBase62 } from '../base62.ts';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const cases: [bigint, number, string][] = [
  [0n, 1, '0'],
  [61n, 1, 'z'],
  [62n, 2, '10'],
  [35n, 3, '00Z'],
  [0xffffffffn, 6, '4gfFC3'],
];

for (const [value, width, text] of cases) {
  test(`${value} in ${width} characters is ${text}`, (t) => {
    t.is(encodeBase62(value, width), text);
  });
}

test('any 256 bits take exactly 43 characters, whose digits have the same value', (t) => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), (value) => {
      const text = encodeBase62(value, 43);
      return /^[0-9A-Za-z]{43}$/.test(text) && numberOf(text) === value;
    }),
  );
  t.is(encodeBase62(2n ** 256n - 1n, 43).length, 43);
});

test('texts of one width sort like their values', (t) => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 64n), fc.bigInt(0n, 2n ** 64n), (a, b) => {
      return a < b === encodeBase62(a, 12) < encodeBase62(b, 12);
    }),
  );
  t.pass();
});

test('a value that does not fit is refused, not truncated', (t) => {
  t.throws(() => encodeBase62(62n, 1), { instanceOf: RangeError });
  t.throws(() => encodeBase62(-1n, 1), { instanceOf: RangeError });
});

function numberOf(text: string): bigint {
  return [...text].reduce((value, digit) => value * 62n + BigInt(alphabet.indexOf(digit)), 0n);
}
