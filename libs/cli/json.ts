/** What ts-proto generates for a message. */
export type Codec<Message> = { toJSON(message: Message): unknown };

/**
 * The proto3-JSON form of a message, with every list, flag and text in it even where it is empty, so
 * that scripts need not ask whether a field is there.
 */
export function toJson<Message>(codec: Codec<Message>, message: Message): unknown {
  return withEmpty(codec.toJSON(message), message);
}

function withEmpty(json: unknown, message: unknown): unknown {
  if (Array.isArray(json) && Array.isArray(message)) {
    return json.map((each, index) => withEmpty(each, message[index]));
  }
  if (!isObject(json) || !isObject(message) || message instanceof Date) return json;
  const known = Object.entries(message).flatMap(([key, value]) => {
    if (key in json) return [[key, withEmpty(json[key], value)]];
    return isEmpty(value) ? [[key, value]] : [];
  });
  return { ...json, ...Object.fromEntries(known) };
}

function isEmpty(value: unknown): boolean {
  return value === '' || value === false || (Array.isArray(value) && value.length === 0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
