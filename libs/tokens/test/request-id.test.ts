import { randomUUID } from 'node:crypto';
import test from 'ava';
import { isPrintable, isUuidV4 } from '../request-id.ts';

test('a request id is 1 to 128 printable ASCII characters', (t) => {
  for (const good of ['a', ' ', '~', 'x'.repeat(128), randomUUID()])
    t.true(isPrintable(good), good);
  for (const bad of ['', 'x'.repeat(129), 'é', 'a\n', '\x7f', '\0']) t.false(isPrintable(bad), bad);
});

test('a secret-bearing request id is a UUIDv4 and nothing else', (t) => {
  const good = '0b1c2d3e-4f50-4a61-8b72-9c83ad94be05';
  t.true(isUuidV4(good));
  t.true(isUuidV4(good.toUpperCase()));
  t.true(isUuidV4(randomUUID()));
  const others = [
    '',
    `${good}\n`,
    `{${good}}`,
    good.replaceAll('-', ''),
    '0b1c2d3e-4f50-1a61-8b72-9c83ad94be05',
    '0b1c2d3e-4f50-7a61-8b72-9c83ad94be05',
    '0b1c2d3e-4f50-4a61-cb72-9c83ad94be05',
    '00000000-0000-0000-0000-000000000000',
  ];
  for (const bad of others) t.false(isUuidV4(bad), bad);
});
