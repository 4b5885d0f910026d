const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const base = 62n;

/**
 * Writes `value` (0 or more) in base 62, padded on the left with `0` to exactly `width` characters.
 * The digits are in ASCII order, so texts of one width sort like their values. Throws RangeError if
 * the value does not fit.
 */
export function encodeBase62(value: bigint, width: number): string {
  if (value < 0n) throw new RangeError('base 62 has no negative numbers');
  let text = '';
  for (let rest = value; rest > 0n; rest /= base)
    text = alphabet.charAt(Number(rest % base)) + text;
  if (text.length > width) throw new RangeError(`the value needs more than ${width} characters`);
  return text.padStart(width, '0');
}
