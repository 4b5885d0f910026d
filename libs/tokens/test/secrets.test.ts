import test from 'ava';
import fc from 'fast-check';
import {
  fingerprintOf,
  hashOf,
  isWellFormed,
  maskOf,
  newApiKey,
  newInviteCode,
  newProjectToken,
  type SecretPrefix,
  secretPattern,
} from '../secrets.ts';

const makers: [SecretPrefix, typeof newApiKey][] = [
  ['phc_', newProjectToken],
  ['phx_', newApiKey],
  ['ivc_', newInviteCode],
];
const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });

for (const [prefix, make] of makers) {
  test(`every secret made with ${prefix} has 53 characters and is well formed with this prefix only`, (t) => {
    fc.assert(
      fc.property(bytes, (random) => {
        const secret = make(() => random);
        return (
          new RegExp(`^${prefix}[0-9A-Za-z]{49}$`).test(secret) &&
          makers.every(([other]) => isWellFormed(secret, other) === (other === prefix))
        );
      }),
    );
    t.true(isWellFormed(make(), prefix));
  });
}

test('the form never changes: these secrets are in programs that are already shipped', (t) => {
  t.is(
    newProjectToken(() => new Uint8Array(32)),
    `phc_${'0'.repeat(43)}36HAhP`,
  );
});

test('one changed character is always noticed', (t) => {
  const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  const position = fc.integer({ min: 0, max: 52 });
  fc.assert(
    fc.property(
      bytes,
      position,
      fc.constantFrom(...alphabet, '_', ' ', 'é'),
      (random, at, char) => {
        const secret = newApiKey(() => random);
        const changed = secret.slice(0, at) + char + secret.slice(at + 1);
        return changed === secret || !isWellFormed(changed, 'phx_');
      },
    ),
    { numRuns: 2000 },
  );
  t.pass();
});

test('two swapped neighbours are always noticed', (t) => {
  fc.assert(
    fc.property(bytes, fc.integer({ min: 0, max: 51 }), (random, at) => {
      const secret = newApiKey(() => random);
      const swapped =
        secret.slice(0, at) + secret.charAt(at + 1) + secret.charAt(at) + secret.slice(at + 2);
      return swapped === secret || !isWellFormed(swapped, 'phx_');
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test('no text is well formed by chance or throws, however odd or long', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
      return !isWellFormed(text, 'phc_') && !isWellFormed(`phc_${text}`, 'phc_');
    }),
  );
  t.false(isWellFormed('phc_'.repeat(1_000_000), 'phc_'));
  t.false(isWellFormed(`${newProjectToken()}\n`, 'phc_'));
});

test('a random source that returns too few bytes makes no secret', (t) => {
  t.throws(() => newApiKey(() => new Uint8Array(31)), { instanceOf: RangeError });
});

test('the hash is SHA-256 and the fingerprint its first 12 hex digits, from secret or hash', (t) => {
  // NIST FIPS 180-2, example "abc"
  const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  t.is(hashOf('abc').toString('hex'), expected);
  t.is(fingerprintOf('abc'), 'ba7816bf8f01');
  t.is(fingerprintOf(hashOf('abc')), 'ba7816bf8f01');
  t.throws(() => fingerprintOf(new Uint8Array(3)), { instanceOf: RangeError });
});

test('a mask shows the kind and four characters of the checksum, and nothing of other texts', (t) => {
  const secret = newApiKey();
  t.is(maskOf(secret), `phx_...${secret.slice(-4)}`);
  t.is(maskOf('hunter2'), '...');
});

test('the pattern finds a secret inside a longer text', (t) => {
  for (const [, make] of makers) {
    t.is(`a "${make()}" b`.replace(new RegExp(secretPattern, 'g'), 'X'), 'a "X" b');
  }
});
