/** Maximum memory of a parsed body: twice the memory of a realistic 20 MiB body of an SDK. */
const parsedBytesMax = 128 * 1_024 * 1_024;
/** Shorter bodies cannot exceed the limit. */
const lengthMin = 1_024 * 1_024;

/** Approximate bytes that V8 needs for an empty object, an empty array, and any other value. */
const objectBytes = 64;
const arrayBytes = 48;
const valueBytes = 32;

const openBrace = '{'.charCodeAt(0);
const openBracket = '['.charCodeAt(0);
const comma = ','.charCodeAt(0);

/**
 * Whether a JSON text would take too much memory when it is parsed: `{},{},…` takes 20 times as
 * much as its text. Also counts brackets and commas in strings, which seldom have many.
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
