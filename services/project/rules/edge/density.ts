/** Memory that a body may take when it is parsed: twice what one of 20 MiB took that SDKs would send. */
const parsedBytesMax = 128 * 1_024 * 1_024;
/** What can take more than that is longer. */
const lengthMin = 1_024 * 1_024;

/** About as many bytes as V8 needs for an empty object, an empty array, and any other value. */
const objectBytes = 64;
const arrayBytes = 48;
const valueBytes = 32;

const openBrace = '{'.charCodeAt(0);
const openBracket = '['.charCodeAt(0);
const comma = ','.charCodeAt(0);

/**
 * Whether a JSON text would take too much memory when it is parsed: `{},{},…` takes 20 times as much as
 * its text. Counts what stands in strings, too: they seldom have so much of it.
 */
export function isTooDense(text: string): boolean {
  if (text.length < lengthMin) return false;
  let bytes = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === comma) bytes += valueBytes;
    else if (code === openBrace) bytes += objectBytes;
    else if (code === openBracket) bytes += arrayBytes;
  }
  return bytes > parsedBytesMax;
}
