/** A request id where it is optional: 1 to 128 printable ASCII characters, space included. */
const printablePattern = '^[ -~]{1,128}$';

/** A request id that seals a secret: a UUIDv4 (RFC 9562) in either case. Ids are equal only if spelt alike. */
const uuidV4Pattern =
  '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$';

const printable = new RegExp(printablePattern);
const uuidV4 = new RegExp(uuidV4Pattern);

/** True for 1 to 128 printable ASCII characters. */
export function isPrintable(text: string): boolean {
  return printable.test(text);
}

/** True for a UUIDv4 in its usual form of 36 characters. */
export function isUuidV4(text: string): boolean {
  return uuidV4.test(text);
}
