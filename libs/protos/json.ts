import {
  type DescMessage,
  type FileRegistry,
  fromBinary,
  type JsonValue,
  fromJson as messageFromJson,
  toJson as messageToJson,
  toBinary,
} from '@bufbuild/protobuf';
import { loadImage } from './image.ts';
import { readPlain } from './plain-json.ts';

// The JSON of ts-proto differs from proto3 JSON (Duration, FieldMask, bytes), and ts-proto throws
// at an unknown enum value. So this file converts by descriptor.

type Named = {
  /** The message's full name, such as `silo.org.v1.Account`. */
  readonly $type: string;
};

/** The encoder that ts-proto generates for a message. */
export type Encoder<Message> = Named & { encode(message: Message): { finish(): Uint8Array } };

/** The decoder that ts-proto generates for a message. */
export type Decoder<Message> = Named & { decode(bytes: Uint8Array): Message };

/**
 * The proto3 JSON of a message. Empty lists, texts, numbers and false are included, so that scripts
 * need not check for absent fields. An unknown enum value is written as its number.
 */
export function toJson<Message>(encoder: Encoder<Message>, message: Message): JsonValue {
  const { schema, types } = describe(encoder);
  const decoded = fromBinary(schema, encoder.encode(message).finish());
  return messageToJson(schema, decoded, { registry: types, alwaysEmitImplicit: true });
}

/**
 * Reads a message from proto3 JSON of this or a newer release: unknown fields are ignored, an enum
 * value with an unknown name becomes unspecified, an unknown number is kept. Throws if the JSON is
 * not valid for the message.
 */
export function fromJson<Message>(decoder: Decoder<Message>, json: JsonValue): Message {
  const { schema, types } = describe(decoder);
  const plain = readPlain(schema, json);
  if (plain !== undefined) return plain as Message; // contains exactly the generated properties
  const read = messageFromJson(schema, json, { registry: types, ignoreUnknownFields: true });
  return decoder.decode(toBinary(schema, read));
}

function describe({ $type }: Named): { schema: DescMessage; types: FileRegistry } {
  const { types } = loadImage();
  const schema = types.getMessage($type);
  if (schema === undefined) throw new TypeError(`the image does not hold ${$type}`);
  return { schema, types };
}
