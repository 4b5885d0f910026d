import { type DescField, type DescMessage, type JsonValue, ScalarType } from '@bufbuild/protobuf';
import { timestampMin } from './timestamp-range.ts';

/**
 * Converts JSON to the value in a message of ts-proto; returns undefined if the JSON is not plain.
 */
type Read = (json: JsonValue) => unknown;

/** How a property is read, and its value if the JSON lacks it. */
type Kind = { read: Read; initial(): unknown };

const uint32Max = 2 ** 32 - 1;
const never: Read = () => undefined;
const readers = new WeakMap<DescMessage, Read>();

/**
 * Reads plain JSON directly into the properties that ts-proto generates. Plain JSON is what
 * releases write for their own fields: strings, flags, counts, names of enum values, times,
 * messages and lists of these. Returns undefined for all other JSON, valid or not, and for messages
 * with other kinds of fields.
 */
export function readPlain(desc: DescMessage, json: JsonValue): unknown {
  let read = readers.get(desc);
  if (read === undefined) {
    read = messageReader(desc, []) ?? never;
    readers.set(desc, read);
  }
  return read(json);
}

/** Undefined for a message with a field that is never plain. */
function messageReader(desc: DescMessage, outer: readonly DescMessage[]): Read | undefined {
  if (outer.includes(desc)) return undefined; // recursive: its depth would have to be limited
  const fields = new Map<string, Kind & { name: string }>();
  for (const field of desc.fields) {
    const kind = kindOf(field, [...outer, desc]);
    if (kind === undefined) return undefined;
    fields.set(field.jsonName, { ...kind, name: field.localName });
  }
  const all = [...fields.values()];
  return (json) => {
    if (json === null || typeof json !== 'object' || Array.isArray(json)) return undefined;
    const message: Record<string, unknown> = {};
    for (const { name, initial } of all) message[name] = initial();
    for (const [key, value] of Object.entries(json)) {
      const field = fields.get(key);
      const read = field?.read(value);
      if (field === undefined || read === undefined) return undefined;
      message[field.name] = read;
    }
    return message;
  };
}

function kindOf(field: DescField, outer: readonly DescMessage[]): Kind | undefined {
  // ts-proto has one property for all fields of a oneof.
  if (field.oneof !== undefined || field.fieldKind === 'map') return undefined;
  const read = readerOf(field, outer);
  if (read === undefined) return undefined;
  if (field.fieldKind === 'list') return { read: listReader(read), initial: () => [] };
  const unset = field.fieldKind === 'message' || field.proto.proto3Optional;
  const initial = unset ? undefined : zeroOf(field);
  return { read, initial: () => initial };
}

/** The reader of a field, or of the elements of a list. */
function readerOf(field: DescField, outer: readonly DescMessage[]): Read | undefined {
  if (field.message !== undefined) {
    const { typeName } = field.message;
    if (typeName === 'google.protobuf.Timestamp') return readTime;
    // Most of these have their own JSON form.
    if (typeName.startsWith('google.protobuf.')) return undefined;
    return messageReader(field.message, outer);
  }
  if (field.enum !== undefined) {
    const numbers = new Map(field.enum.values.map(({ name, number }) => [name, number]));
    return (json) => (typeof json === 'string' ? numbers.get(json) : undefined);
  }
  switch (field.scalar) {
    case ScalarType.STRING:
      return (json) => (typeof json === 'string' && json.isWellFormed() ? json : undefined);
    case ScalarType.BOOL:
      return (json) => (typeof json === 'boolean' ? json : undefined);
    case ScalarType.UINT32:
      return (json) => (isUint32(json) ? json + 0 : undefined); // JSON has a negative zero
    default:
      return undefined;
  }
}

function zeroOf(field: DescField): unknown {
  if (field.scalar === ScalarType.STRING) return '';
  return field.scalar === ScalarType.BOOL ? false : 0;
}

function isUint32(json: JsonValue): json is number {
  return typeof json === 'number' && Number.isInteger(json) && json >= 0 && json <= uint32Max;
}

/** Reads a time as `Date` writes it. */
function readTime(json: JsonValue): Date | undefined {
  if (typeof json !== 'string') return undefined;
  const time = new Date(json);
  return time >= timestampMin && time.toISOString() === json ? time : undefined;
}

function listReader(readElement: Read): Read {
  return (json) => {
    if (!Array.isArray(json)) return undefined;
    const values = json.map(readElement);
    return values.includes(undefined) ? undefined : values;
  };
}
