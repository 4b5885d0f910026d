import { fromBinary, type JsonValue, toJson as messageToJson } from '@bufbuild/protobuf';
import { loadImage } from '@silo/protos/image.ts';

/** What ts-proto generates for a message. */
export type Codec<Message> = {
  /** The message's full name, such as `silo.org.v1.Account`. */
  readonly $type: string;
  encode(message: Message): { finish(): Uint8Array };
};

/**
 * The proto3-JSON form of a message, with every list, flag, text and number in it even where it is
 * empty, so that scripts need not ask whether a field is there. From the descriptors: ts-proto's own
 * JSON is not what other languages read (Duration, FieldMask, bytes, unknown enum values).
 */
export function toJson<Message>(codec: Codec<Message>, message: Message): JsonValue {
  const { registry } = loadImage();
  const schema = registry.getMessage(codec.$type);
  if (schema === undefined) throw new TypeError(`the image does not hold ${codec.$type}`);
  const decoded = fromBinary(schema, codec.encode(message).finish());
  return messageToJson(schema, decoded, { registry, alwaysEmitImplicit: true });
}
