import { joinObject, parseObject, splitObject } from './json-text.ts';

/** The property that holds the address of an event's sender. */
const addressProperty = '$ip';

/** The text of properties without the sender's address. What is no object is left to its rule. */
export function withoutIp(properties: string): string {
  const object = parseObject(properties);
  if (object === undefined || !Object.hasOwn(object, addressProperty)) return properties;
  const values = splitObject(properties);
  values.delete(addressProperty);
  return joinObject(values);
}
