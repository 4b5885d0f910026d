/**
 * Properties are kept as the JSON text that was sent: parsing a number loses digits, and a
 * JavaScript object loses the order of keys. This file reads and joins such texts without rewriting
 * them.
 */

const quote = '"'.charCodeAt(0);
const backslash = '\\'.charCodeAt(0);
const comma = ','.charCodeAt(0);
const openBrace = '{'.charCodeAt(0);
const closeBrace = '}'.charCodeAt(0);
const openBracket = '['.charCodeAt(0);
const closeBracket = ']'.charCodeAt(0);
const space = ' '.charCodeAt(0);

/** A parsed JSON object. Its properties are own ones, even `__proto__`. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Parses a text; undefined if it is not a JSON object. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** An own property; undefined if there is none. */
export function ownProperty(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/**
 * The text of each property's value in the text of a valid JSON object. If names are equal, the
 * last one counts, as for JSON.parse.
 */
export function splitObject(text: string): Map<string, string> {
  const values = new Map<string, string>();
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text.charCodeAt(at) === quote) {
    const keyEnd = endOfString(text, at);
    const key: string = JSON.parse(text.slice(at, keyEnd));
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = endOfValue(text, start);
    values.set(key, text.slice(start, end));
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === comma) at = skipSpace(text, at + 1);
  }
  return values;
}

/** The text of each element in the text of a valid JSON array. */
export function splitArray(text: string): string[] {
  const elements: string[] = [];
  let at = skipSpace(text, text.indexOf('[') + 1);
  while (text.charCodeAt(at) !== closeBracket) {
    const end = endOfValue(text, at);
    elements.push(text.slice(at, end));
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === comma) at = skipSpace(text, at + 1);
  }
  return elements;
}

/** Appends values to the text of a valid JSON object that does not have their names. */
export function appendToObject(text: string, values: ReadonlyMap<string, string>): string {
  if (values.size === 0) return text;
  const end = text.lastIndexOf('}');
  const isEmpty = skipSpace(text, text.indexOf('{') + 1) === end;
  return `${text.slice(0, end)}${isEmpty ? '' : ','}${joinObject(values).slice(1)}`;
}

/** The text of an object with these values. */
export function joinObject(values: ReadonlyMap<string, string>): string {
  return `{${Array.from(values, ([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;
}

/**
 * Whether objects and arrays in a parsed value nest deeper than `depthMax`; a scalar has depth 0.
 */
export function isDeeper(value: unknown, depthMax: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depthMax === 0) return true;
  return Object.values(value).some((each) => isDeeper(each, depthMax - 1));
}

/** A number as sign * 0.digits * 10^exponent, without leading or trailing zeros in its digits. */
export type Decimal = { sign: number; digits: string; exponent: number };

/**
 * Compares two numbers exactly: negative if the first is smaller, 0 if they are equal. `1.0` equals
 * `1`, and 9007199254740993 does not equal 9007199254740992.
 */
export function compareDecimals(a: Decimal, b: Decimal): number {
  if (a.sign !== b.sign || a.sign === 0) return a.sign - b.sign;
  if (a.exponent !== b.exponent) return a.sign * (a.exponent < b.exponent ? -1 : 1);
  if (a.digits === b.digits) return 0;
  return a.sign * (a.digits < b.digits ? -1 : 1);
}

/** The exact number in a JSON text. */
export function decimalOf(text: string): Decimal {
  const [, minus, whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const all = whole + fraction;
  const leading = all.length - withoutLeadingZeros(all).length;
  const digits = withoutTrailingZeros(all.slice(leading));
  if (digits === '') return { sign: 0, digits, exponent: 0 };
  return { sign: minus ? -1 : 1, digits, exponent: whole.length - leading + Number(exponent) };
}

function withoutLeadingZeros(digits: string): string {
  let start = 0;
  while (digits[start] === '0') start++;
  return digits.slice(start);
}

function withoutTrailingZeros(digits: string): string {
  let end = digits.length;
  while (digits[end - 1] === '0') end--;
  return digits.slice(0, end);
}

/** Whether a parsed value is an object, not an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) <= space) at++;
  return at;
}

/** The position after the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end + 1;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === backslash) backslashes++;
  return backslashes % 2 === 1;
}

/** The position after the value that begins at `start`. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  for (let at = start; ; ) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfString(text, at);
      if (depth === 0) return at;
      continue;
    }
    if (code === openBrace || code === openBracket) depth++;
    else if (code === closeBrace || code === closeBracket) {
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (depth === 0 && (code === comma || code <= space)) return at;
    at++;
  }
}
