import type { DescField, DescMessage, JsonObject, JsonValue } from '@bufbuild/protobuf';
import test from 'ava';
import fc, { type Arbitrary } from 'fast-check';
import * as events from '../gen/silo/events/v1/events.ts';
import { loadImage } from '../image.ts';
import { type Decoder, fromJson } from '../json.ts';
import { readPlain } from '../plain-json.ts';

/** An unknown field is never plain, so the JSON is read by descriptor. */
const unknownField = { ofTomorrow: 1 };

const messages: readonly Decoder<unknown>[] = Object.values(events).filter(
  (each) => typeof each === 'object' && '$type' in each,
);

const strange = fc.constantFrom(
  ...['', '\ud800', '-1', '2026-02-30T00:00:00.000Z', '0000-01-01T00:00:00.000Z', 'LEVEL_SOON'],
  ...[-1, -0, 0.5, 2 ** 32, Number.MAX_VALUE, true, null, {}, { seconds: 1 }, []],
  ...[['', null], [[]], [{}], [{ field: 'name', from: 7 }], [{ ...unknownField }]],
);

for (const decoder of messages) {
  const desc = loadImage().types.getMessage(decoder.$type);
  if (desc === undefined) throw new TypeError(`the image does not hold ${decoder.$type}`);

  test(`${desc.name}: JSON as releases write it is read without descriptors`, (t) => {
    fc.assert(
      fc.property(plainOf(desc), (json) => {
        t.not(readPlain(desc, json), undefined);
        t.deepEqual(fromJson(decoder, json), fromJson(decoder, { ...json, ...unknownField }));
      }),
    );
  });

  test(`${desc.name}: other JSON means the same as by descriptor, or is rejected alike`, (t) => {
    const some = fc.constantFrom(...desc.fields.flatMap(({ name, jsonName }) => [name, jsonName]));
    fc.assert(
      fc.property(plainOf(desc), some, strange, (plain, name, value) => {
        const json: JsonObject = { ...plain, [name]: value };
        t.deepEqual(outcome(decoder, json), outcome(decoder, { ...json, ...unknownField }));
      }),
    );
  });
}

function outcome(decoder: Decoder<unknown>, json: JsonObject): unknown {
  try {
    return fromJson(decoder, json);
  } catch {
    return 'rejected';
  }
}

function plainOf(desc: DescMessage): Arbitrary<JsonObject> {
  const names = desc.fields.map(({ jsonName }) => jsonName);
  const values = desc.fields.map((field) =>
    field.fieldKind === 'list' ? fc.array(jsonOf(field)) : jsonOf(field),
  );
  return fc.tuple(fc.subarray(names), fc.tuple(...values)).map(([chosen, all]) => {
    const fields = names.map((name, index): [string, JsonValue] => [name, all[index] ?? null]);
    return Object.fromEntries(fields.filter(([name]) => chosen.includes(name)));
  });
}

function jsonOf({ message, enum: values, scalar }: DescField): Arbitrary<JsonValue> {
  if (message?.name === 'Timestamp') {
    const min = new Date('0001-01-01T00:00:00.000Z');
    const max = new Date('9999-12-31T23:59:59.999Z');
    return fc.date({ min, max, noInvalidDate: true }).map((time) => time.toISOString());
  }
  if (message !== undefined) return plainOf(message);
  if (values !== undefined) return fc.constantFrom(...values.values.map(({ name }) => name));
  if (scalar === 8) return fc.boolean();
  return scalar === 9 ? fc.string({ unit: 'grapheme' }) : fc.nat({ max: 2 ** 31 - 1 });
}
