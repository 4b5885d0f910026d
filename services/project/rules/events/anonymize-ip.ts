import { joinObject, parseObject, splitObject } from './json-text.ts';

/** The property with the address of an event's sender. */
const addressProperty = '$ip';

/**
 * The text of properties without the sender's address. Returns an invalid text unchanged: another
 * rule refuses it.
 */
export function withoutIp(properties: string): string {
  const object = parseObject(properties);
  if (object === undefined || !Object.hasOwn(object, addressProperty)) return properties;
  const values = splitObject(properties);
  values.delete(addressProperty);
  return joinObject(values);
}
