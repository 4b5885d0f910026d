import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeBody, type EventName, eventMessages, eventNamed } from '@silo/log/decode-event.ts';
import { eventType } from '@silo/log/event-types.ts';
import type { LogService } from '@silo/log/log-reader.ts';
import * as events from '@silo/protos/gen/silo/events/v1/events.ts';
import test from 'ava';
import { type Envelope, type EventSource, envelopeOf, placedBy } from '../envelope.ts';
import { extended, samples } from './samples.ts';

const directory = join(import.meta.dirname, 'golden');
const incarnation = '01k8zq3v5w6x7y8z9a0b1c2d3f';
const project: EventSource = {
  ...{ service: 'project', region: 'us', subjectPrefix: 'silo.v1', incarnation },
};
const names = Object.keys(eventMessages) as EventName[];

/** The contents of a golden file. */
type Sample = { file: string; name: EventName; subject: string; body: object };

const all: Sample[] = [
  ...names.map((name) => ({ file: name, name, ...samples[name] })),
  ...extended,
];

function encode({ name, subject, body }: Sample): Envelope {
  const [service, event] = name.split('.') as [LogService, string];
  const message: { toJSON(body: never): unknown } = eventMessages[name];
  return envelopeOf(
    { service, region: 'us', subjectPrefix: 'silo.v1', incarnation },
    {
      sequence: 1_234_567,
      id: '01k8zq3v5w6x7y8z9a0b1c2d3g',
      type: eventType(service, event),
      subject,
      time: new Date('2026-02-03T04:05:06.789Z'),
      actor: 'acc_01k8zq3v5w6x7y8z9a0b1c2d3e',
      correlationId: '01k8zq3v5w6x7y8z9a0b1c2d3h',
      bodyJson: JSON.stringify(message.toJSON(body as never)),
    },
  );
}

/**
 * The released encoding. `WRITE_GOLDEN=new` writes the files of new events; existing files never
 * change.
 */
function golden(sample: Sample): Envelope {
  const path = join(directory, `${sample.file}.json`);
  if (process.env.WRITE_GOLDEN === 'new' && !existsSync(path)) {
    writeFileSync(path, `${JSON.stringify(encode(sample), null, 2)}\n`);
  }
  return JSON.parse(readFileSync(path, 'utf8'));
}

for (const sample of all) {
  const { file, name } = sample;
  test(`${file}: today's encoder produces the released bytes and one more header`, (t) => {
    const { headers, ...rest } = encode(sample);
    const { headers: released, ...releasedRest } = golden(sample);
    t.deepEqual(rest, releasedRest);
    t.deepEqual(headers, { ...released, 'ce-incarnation': incarnation });
  });

  test(`${file}: today's decoder reads the released bytes`, (t) => {
    const { headers, body } = golden(sample);
    t.is(eventNamed(headers['ce-type'] ?? ''), name);
    t.deepEqual(
      placedBy((header) => headers[header]),
      {
        id: '01k8zq3v5w6x7y8z9a0b1c2d3g',
        sequence: 1_234_567,
        incarnation: '',
      },
    );
    t.deepEqual(decodeBody(name, body) as object, sample.body);
  });
}

test('every message of events.proto is the body of an event with a golden file', (t) => {
  const messages = Object.values(events).filter(
    (each) => typeof each === 'object' && 'fromJSON' in each && each !== events.FieldChange,
  );
  const known = new Set<unknown>(Object.values(eventMessages));
  t.is(messages.length, names.length);
  t.true(messages.every((message) => known.has(message)));
  const files = all.map(({ file }) => `${file}.json`);
  t.deepEqual(readdirSync(directory).toSorted(), files.toSorted());
});

test('a repair changes only the message id', (t) => {
  const event = {
    ...{
      sequence: 1,
      id: 'id',
      type: 'internal.silo.project.moved.v1',
      subject: 'prj_1',
      time: new Date(0),
    },
    ...{ actor: 'acc_1', correlationId: 'call', bodyJson: '{}' },
  };
  const plain = envelopeOf(project, event);
  const repaired = envelopeOf(project, event, 'r1');
  t.is(repaired.headers['Nats-Msg-Id'], 'id:r1');
  t.deepEqual({ ...repaired, headers: { ...repaired.headers, 'Nats-Msg-Id': 'id' } }, plain);
});

test('an id that would change the subject is not published', (t) => {
  for (const subject of ['a.b', '*', '>', '', 'a b']) {
    const event = {
      ...{
        sequence: 1,
        id: 'id',
        type: 'internal.silo.project.moved.v1',
        subject,
        time: new Date(0),
      },
      ...{ actor: 'acc_1', correlationId: 'call', bodyJson: '{}' },
    };
    t.throws(() => envelopeOf(project, event), { instanceOf: RangeError });
  }
});
