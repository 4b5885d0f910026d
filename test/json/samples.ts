import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from '@bufbuild/protobuf';

/** Deeper messages are left out, because some contain themselves. */
const depthMax = 6;
/** A value that no enum has, as a newer release may send. */
const unknownNumber = 987;

/**
 * One message of a type with a value in every field; of every oneof the member with this index, and
 * on request with unknown enum values.
 */
export function sampleOf(
  schema: DescMessage,
  options: { member: number; unknownEnums: boolean },
  depth = 0,
): Message {
  const init: Record<string, unknown> = {};
  const sampleValue = (field: DescField): unknown => {
    const { fieldKind } = field;
    if (fieldKind === 'map') throw new TypeError(`${field}: maps have no samples yet`);
    const message = field.message;
    if (message !== undefined) return sampleOf(message, options, depth + 1);
    const enumeration = field.enum;
    if (enumeration !== undefined) {
      return options.unknownEnums ? unknownNumber : (enumeration.values.at(-1)?.number ?? 0);
    }
    return scalarOf(field);
  };
  const isOmitted = (field: DescField) => field.message !== undefined && depth >= depthMax;
  if (schema.typeName === 'google.protobuf.FieldMask') {
    return create(schema, { paths: ['display_name', 'settings.time_zone'] });
  }
  if (schema.typeName === 'google.protobuf.Duration') {
    return create(schema, { seconds: 0n, nanos: 7_000_000 });
  }
  if (schema.typeName === 'google.protobuf.Timestamp') {
    return create(schema, { seconds: 1_767_323_045n, nanos: 678_000_000 });
  }
  for (const member of schema.members) {
    if (member.kind === 'oneof') {
      const field = member.fields[options.member % member.fields.length];
      if (field === undefined || isOmitted(field)) continue;
      init[member.localName] = { case: field.localName, value: sampleValue(field) };
    } else if (!isOmitted(member)) {
      const value = sampleValue(member);
      init[member.localName] = member.fieldKind === 'list' ? [value, value] : value;
    }
  }
  return create(schema, init);
}

function scalarOf({ scalar, localName }: DescField): unknown {
  switch (scalar) {
    case ScalarType.STRING:
      return `${localName} "é\u2028`;
    case ScalarType.BOOL:
      return true;
    case ScalarType.BYTES:
      return Uint8Array.of(0xfb, 0xff, 0, 1);
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return BigInt(Number.MAX_SAFE_INTEGER); // as far as ts-proto's numbers reach
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return 1.5;
    default:
      return 42;
  }
}
