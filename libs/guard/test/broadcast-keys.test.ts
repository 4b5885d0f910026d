import { randomBytes } from 'node:crypto';
import test from 'ava';
import { BroadcastKeys } from '../broadcast-keys.ts';
import { toDuration } from '../wire.ts';

function open() {
  const now = { monotonicMs: 1_000, wallMs: 1_000_000 };
  const keys = new BroadcastKeys(() => now);
  const key = (id: string, validMs: number, isSigning = false) => {
    return { id, secret: randomBytes(32), validFor: toDuration(validMs), isSigning };
  };
  return { now, keys, key };
}

test('a key is usable until it expires, counted from before the call was sent', (t) => {
  const { now, keys, key } = open();
  const sent = { ...now };
  now.monotonicMs += 400;
  now.wallMs += 400;
  keys.replace([key('one', 1_000, true)], sent);
  now.monotonicMs += 599;
  now.wallMs += 599;
  t.truthy(keys.find('one'));
  t.is(keys.signing()?.id, 'one');
  now.monotonicMs += 1;
  t.is(keys.find('one'), undefined);
  t.is(keys.signing(), undefined);
});

test('a key ends by whichever clock ends it first', (t) => {
  for (const wallMs of [1_001_000, 999_999]) {
    const { now, keys, key } = open();
    keys.replace([key('one', 1_000)], { ...now });
    now.wallMs = wallMs;
    t.is(keys.find('one'), undefined);
  }
});

test('each answer replaces the previous one, but a late one changes nothing', (t) => {
  const { now, keys, key } = open();
  const early = { ...now };
  now.monotonicMs += 100;
  const [one, two] = [key('one', 1_000, true), key('two', 1_000)];
  keys.replace([one, two], { ...now });
  t.truthy(keys.find('one') && keys.find('two'));
  t.is(keys.find('three'), undefined);
  keys.replace([{ ...two, isSigning: true }], { ...now });
  t.is(keys.find('one'), undefined);
  t.is(keys.signing()?.id, 'two');
  keys.replace([one], early);
  t.is(keys.signing()?.id, 'two');
});

test('a key with the same id but another secret is a different key', (t) => {
  const { now, keys, key } = open();
  keys.replace([key('one', 1_000)], { ...now });
  const before = keys.find('one');
  const again = key('one', 1_000);
  keys.replace([again], { ...now });
  t.false(before?.equals(keys.find('one') ?? before));
});
