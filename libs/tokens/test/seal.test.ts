import { randomUUID } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { hashRequestId, openWith, sealWith } from '../seal.ts';

const requestId = fc.uuid({ version: 4 });

test('a text sealed with a request id opens with that id', (t) => {
  fc.assert(
    fc.property(requestId, fc.uint8Array({ maxLength: 2000 }), (id, plaintext) => {
      return openWith(id, sealWith(id, plaintext))?.equals(plaintext) === true;
    }),
  );
  t.is(openWith('é', sealWith('é', 'phx_ünïcode'))?.toString(), 'phx_ünïcode');
});

test('a seal does not open with another request id', (t) => {
  fc.assert(
    fc.property(requestId, requestId, (id, other) => {
      return id === other || openWith(other, sealWith(id, 'secret')) === undefined;
    }),
  );
  t.pass();
});

test('a seal does not open with the stored hash of the request id, in any spelling', (t) => {
  const id = randomUUID();
  const sealed = sealWith(id, 'secret');
  for (const hash of [hashRequestId(id), hashRequestId('acc_1', 'method', id)]) {
    for (const encoding of ['hex', 'base64', 'latin1', 'utf8'] as const) {
      t.is(openWith(hash.toString(encoding), sealed), undefined);
    }
  }
});

test('a seal does not open after a change of one bit, or without its end', (t) => {
  const id = randomUUID();
  const sealed = sealWith(id, 'secret');
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const changed = Buffer.from(sealed);
    changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    t.is(openWith(id, changed), undefined, `bit ${bit}`);
  }
  for (let size = 0; size < sealed.length; size++) {
    t.is(openWith(id, sealed.subarray(0, size)), undefined, `${size} bytes`);
  }
});

test('the same secret sealed twice looks different, and reveals nothing of itself', (t) => {
  const id = randomUUID();
  const sealed = sealWith(id, 'secret');
  t.false(sealed.equals(sealWith(id, 'secret')));
  t.false(sealed.includes('secret'));
});

test('seals of version 1 can still be opened', (t) => {
  const sealed = sealWith(
    '00000000-0000-4000-8000-000000000000',
    'golden',
    (size) => new Uint8Array(size),
  );
  t.is(
    sealed.toString('hex'),
    '0100000000000000000000000041318310a1e5fbda827a1ce6e0f59e5f4ff5eb50c065',
  );
});

test('an empty request id is refused', (t) => {
  t.throws(() => sealWith('', 'secret'), { instanceOf: RangeError });
});

test('different lists of parts have different hashes', (t) => {
  const parts = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\0', '/') }), {
    maxLength: 4,
  });
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      const alike = a.length === b.length && a.every((part, index) => part === b[index]);
      return hashRequestId(...a).equals(hashRequestId(...b)) === alike;
    }),
    { numRuns: 1000 },
  );
  t.is(hashRequestId('a', 'b').length, 32);
  t.false(hashRequestId('ab', 'c').equals(hashRequestId('a', 'bc')));
});
