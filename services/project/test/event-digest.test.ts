import { createHash, randomBytes } from 'node:crypto';
import test from 'ava';
import { CopiedChanges } from '../rules/events/copied-changes.ts';
import { EventDigest } from '../rules/events/event-digest.ts';
import {
  comparePlaces,
  type EventPlace,
  endPlace,
  firstPlace,
  isWithin,
} from '../rules/events/event-range.ts';

const documents = Array.from({ length: 100 }, (_, size) => randomBytes(5 + size));
const modulus = 2n ** 128n;

/** The definition in the protocol. */
function sumOf(all: readonly Uint8Array[]): bigint {
  const first = (document: Uint8Array) =>
    createHash('sha256').update(document).digest().subarray(0, 16).toString('hex');
  return all.reduce((sum, document) => (sum + BigInt(`0x${first(document)}`)) % modulus, 0n);
}

test('a digest is the count and the sum of the hashes, in any order', (t) => {
  const digest = EventDigest.of(documents);
  t.is(digest.count, documents.length);
  t.is(BigInt(`0x${digest.hash.toString('hex')}`), sumOf(documents));
  t.true(EventDigest.of(documents.toReversed()).equals(digest));
  t.deepEqual(new EventDigest().hash, Buffer.alloc(16));
});

test('after the removal of a document, a digest equals one without it', (t) => {
  const [first = Buffer.alloc(0), ...others] = documents;
  const digest = EventDigest.of(others);
  digest.add(first);
  t.false(digest.equals(EventDigest.of(others)));
  digest.remove(first);
  t.true(digest.equals(EventDigest.of(others)));
  digest.remove(first);
  digest.add(first);
  t.true(digest.equals(EventDigest.of(others)));
});

test('a digest continues from a stored one, and includes another one', (t) => {
  const [some, others] = [
    EventDigest.of(documents.slice(0, 30)),
    EventDigest.of(documents.slice(30)),
  ];
  const stored = EventDigest.from({ count: some.count, hash: some.hash });
  stored.include(others);
  t.true(stored.equals(EventDigest.of(documents)));
});

test('a digest changes by one bit, and by a document more, less or twice', (t) => {
  const digest = EventDigest.of(documents);
  const [first = Buffer.alloc(0), ...others] = documents;
  const flipped = Buffer.from(first);
  flipped[0] = (flipped[0] ?? 0) ^ 1;
  for (const differing of [
    [flipped, ...others],
    others,
    [first, ...documents],
    [...documents, flipped],
  ]) {
    t.false(EventDigest.of(differing).equals(digest));
  }
});

const place = (timeMs: number, byte: number): EventPlace => ({
  timeMs,
  uuid: new Uint8Array(16).fill(byte),
});

test('places are ordered by time and then by UUID; a range includes its last place, not its first', (t) => {
  const sorted = [firstPlace, place(-1, 9), place(1, 0), place(1, 9), place(2, 0), endPlace];
  for (const [index, each] of sorted.entries()) {
    for (const [other, second] of sorted.entries()) {
      t.is(Math.sign(comparePlaces(each, second)), Math.sign(index - other));
    }
  }
  const range = { after: place(1, 0), last: place(1, 9) };
  t.deepEqual(
    sorted.map((each) => isWithin(range, each)),
    [false, false, false, true, false, false],
  );
});

const event = (key: string, timeMs: number, document = `${key} at ${timeMs}`) => ({
  ...{ key, place: place(timeMs, 0), document: Buffer.from(document) },
});

const changes = [
  { rule: 'a new event is added', stored: [], sent: [event('a', 1)], removed: '', added: 'a' },
  {
    rule: 'a missing event is removed',
    stored: [event('a', 1)],
    sent: [],
    removed: 'a',
    added: '',
  },
  {
    rule: 'an equal event stays',
    ...{ stored: [event('a', 1)], sent: [event('a', 1)], removed: '', added: '' },
  },
  {
    rule: 'different bytes replace an event',
    ...{ stored: [event('a', 1)], sent: [event('a', 1, 'other')], removed: 'a', added: 'a' },
  },
  {
    rule: 'an event that is moved to after the scan is removed, and left to the scan',
    ...{ stored: [event('a', 1)], sent: [event('a', 9)], removed: 'a', added: '' },
  },
  {
    rule: 'an event that is moved within the scanned part is moved',
    ...{ stored: [event('a', 9)], sent: [event('a', 1)], removed: 'a', added: 'a' },
  },
  {
    rule: 'an event after the scan is not changed',
    ...{ stored: [event('a', 8)], sent: [event('a', 9)], removed: '', added: '' },
  },
];

for (const { rule, stored, sent, removed, added } of changes) {
  test(`changed events: ${rule}`, (t) => {
    const found = new CopiedChanges(sent, ({ timeMs }) => timeMs <= 5);
    const toRemove = stored.filter((each) => found.removes(each));
    t.is(toRemove.map(({ key }) => key).join(), removed);
    t.is(found.added.map(({ key }) => key).join(), added);
  });
}
