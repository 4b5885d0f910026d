import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';

/** The bytes of a field on the wire, and what is wrong with them. */
export type Hostile = { what: string; bytes: Buffer };

const varintType = 0;
const fixed64Type = 1;
const bytesType = 2;
const startGroupType = 3;
const fixed32Type = 5;
const depthMax = 3;

/** Encodes an unsigned varint. */
function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function field(number: number, wireType: number, payload: Buffer): Buffer {
  return Buffer.concat([varint(BigInt(number * 8 + wireType)), payload]);
}

function lengthDelimited(number: number, payload: Buffer): Buffer {
  const length = varint(BigInt(payload.length));
  return field(number, bytesType, Buffer.concat([length, payload]));
}

const hostileTexts: Record<string, Buffer> = {
  'bytes that are not UTF-8': Buffer.from([0x61, 0xff, 0xfe]),
  'half a character': Buffer.from([0xed, 0xa0, 0x80]),
  'a zero byte': Buffer.from('a\0b'),
  'a very long text': Buffer.alloc(20_000, 'x'),
  'an operator': Buffer.from('{"$gt":""}'),
  'the name of a prototype': Buffer.from('__proto__'),
  'signs beyond 16 bits': Buffer.from('💥‮\u0085'),
};

const hostileNumbers: Record<string, bigint> = {
  'an unknown number': 99n,
  'minus one': (1n << 64n) - 1n,
  'the greatest int32': (1n << 31n) - 1n,
  'the least int64': 1n << 63n,
  'the greatest int64': (1n << 63n) - 1n,
};

/** Bytes that no decoder can accept as a message. */
export const undecodable: Record<string, Buffer> = {
  'a tag without a value': Buffer.from([0x0a]),
  'a length beyond the end': Buffer.from([0x0a, 0x7f, 0x61]),
  'an endless varint': Buffer.alloc(11, 0xff),
  'a wire type that does not exist': Buffer.from([0x0f, 0x00]),
};

/** Hostile values of every field of a message, at any depth. */
export function hostileFields({ fields }: DescMessage, depth = 1): Hostile[] {
  return fields.flatMap((each) => [...wrongTypes(each), ...hostileValues(each, depth)]);
}

function hostileValues(each: DescField, depth: number): Hostile[] {
  const { number, name } = each;
  if (each.message !== undefined) {
    const inner = depth < depthMax ? hostileFields(each.message, depth + 1) : [];
    return inner.map(({ what, bytes }) => ({
      what: `${name}.${what}`,
      bytes: lengthDelimited(number, bytes),
    }));
  }
  if (each.scalar === ScalarType.STRING || each.scalar === ScalarType.BYTES) {
    return Object.entries(hostileTexts).map(([what, bytes]) => ({
      what: `${name}: ${what}`,
      bytes: lengthDelimited(number, bytes),
    }));
  }
  return Object.entries(hostileNumbers).map(([what, value]) => ({
    what: `${name}: ${what}`,
    bytes: field(number, varintType, varint(value)),
  }));
}

function wrongTypes({ name, number }: DescField): Hostile[] {
  return [
    { what: `${name}: 64 bits`, bytes: field(number, fixed64Type, Buffer.alloc(8, 0xff)) },
    { what: `${name}: 32 bits`, bytes: field(number, fixed32Type, Buffer.alloc(4, 0xff)) },
    { what: `${name}: a varint`, bytes: field(number, varintType, varint(1n)) },
    { what: `${name}: a group without end`, bytes: field(number, startGroupType, Buffer.alloc(0)) },
  ];
}
