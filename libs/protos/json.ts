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

// ts-proto's own JSON is not what other languages write and read (Duration, FieldMask, bytes), and
// it throws at an enum value that it does not know. So proto3 JSON is made from the descriptors.

type Named = {
  /** The message's full name, such as `silo.org.v1.Account`. */
  readonly $type: string;
};

/** What ts-proto generates for a message, to write it. */
export type Encoder<Message> = Named & { encode(message: Message): { finish(): Uint8Array } };

/** The same, to read it. */
export type Decoder<Message> = Named & { decode(bytes: Uint8Array): Message };

/**
 * The proto3 JSON of a message, with every list, flag, text and number in it even where it is
 * empty, so that scripts need not ask whether a field is there. An unknown enum value is its number.
 */
export function toJson<Message>(encoder: Encoder<Message>, message: Message): JsonValue {
  const { schema, registry } = describe(encoder);
  const decoded = fromBinary(schema, encoder.encode(message).finish());
  return messageToJson(schema, decoded, { registry, alwaysEmitImplicit: true });
}

/**
 * A message from its proto3 JSON, of this release or a newer one: unknown fields are ignored, an
 * enum value with an unknown name is left unspecified, an unknown number is kept. Throws where the
 * JSON cannot be one of this message.
 */
export function fromJson<Message>(decoder: Decoder<Message>, json: JsonValue): Message {
  const { schema, registry } = describe(decoder);
  const read = messageFromJson(schema, json, { registry, ignoreUnknownFields: true });
  return decoder.decode(toBinary(schema, read));
}

function describe({ $type }: Named): { schema: DescMessage; registry: FileRegistry } {
  const { registry } = loadImage();
  const schema = registry.getMessage($type);
  if (schema === undefined) throw new TypeError(`the image does not hold ${$type}`);
  return { schema, registry };
}
