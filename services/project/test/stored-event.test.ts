import { randomUUID } from 'node:crypto';
import { QueryEventsResponse } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import test from 'ava';
import fc from 'fast-check';
import { Binary, BSON } from 'mongodb';
import { encodedEvents } from '../handlers/shared/encoded-events.ts';
import { StoredEvent } from '../store/stored-event.ts';

const text = fc.string({ unit: 'binary' });
const instant = fc.date({ noInvalidDate: true });
const stored = fc.record(
  {
    uuid: fc.constant(0).map(() => randomUUID()),
    time: instant,
    name: text,
    distinctId: text,
    receiveTime: fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }),
    properties: text,
    timestamp: text,
    generation: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    x0: fc.oneof(text, fc.double(), fc.boolean(), fc.constant(new Binary(Buffer.alloc(0)))),
  },
  { requiredKeys: ['uuid', 'time', 'name', 'distinctId', 'receiveTime', 'properties'] },
);

type Stored = typeof stored extends fc.Arbitrary<infer Fields> ? Fields : never;

/** An event document as MongoDB sends it. */
function documentOf({ uuid, properties, ...fields }: Stored): Uint8Array {
  const id = new Binary(Buffer.from(uuid.replaceAll('-', ''), 'hex'), Binary.SUBTYPE_UUID);
  const _id = { project: 'prj_x', uuid: id };
  return BSON.serialize({ _id, ...fields, properties: Buffer.from(properties) });
}

test('an encoded page of events equals the encoding of their fields', (t) => {
  fc.assert(
    fc.property(fc.array(stored, { maxLength: 5 }), text, (fields, nextPageToken) => {
      const events = fields.map((each) => new StoredEvent(documentOf(each)));
      const decoded = QueryEventsResponse.decode(encodedEvents(events, nextPageToken).bytes);
      const expected = fields.map(({ time, timestamp = time.toISOString(), ...event }) => {
        const { uuid, name, distinctId, receiveTime, properties } = event;
        return { uuid, name, distinctId, timestamp, receiveTime, properties };
      });
      t.deepEqual(decoded, { events: expected, nextPageToken });
      for (const [index, event] of events.entries()) {
        const { uuid, name, distinctId, timestamp, receiveTime, properties, time } = event;
        const read = { uuid, name, distinctId, timestamp, receiveTime, properties };
        t.deepEqual(read, expected[index]);
        t.deepEqual(time, fields[index]?.time);
        t.is(event.generation, fields[index]?.generation ?? 0);
      }
    }),
  );
});

test('reading an event that lacks a field fails', (t) => {
  const event = new StoredEvent(BSON.serialize({ nam: 'a', namee: 'b' }));
  t.throws(() => event.name, { message: /no name/ });
});
