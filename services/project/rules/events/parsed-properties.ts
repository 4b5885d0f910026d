import { type Decimal, decimalOf, type JsonObject, splitObject } from './json-text.ts';

/**
 * The properties of one event, for filters. The text is parsed and split at most once, when a
 * filter first needs it: an event may have 1 MiB of properties, and a filter 20 conditions.
 */
export class ParsedProperties {
  readonly #read: () => string;
  readonly #decimals = new Map<string, Decimal>();
  #object: JsonObject | undefined;
  #texts: Map<string, string> | undefined;

  /** `read` returns the text of a JSON object. */
  constructor(read: () => string) {
    this.#read = read;
  }

  get object(): JsonObject {
    this.#object ??= JSON.parse(this.#read()) as JsonObject;
    return this.#object;
  }

  /** The exact number in a property. */
  decimal(name: string): Decimal {
    const known = this.#decimals.get(name);
    if (known !== undefined) return known;
    this.#texts ??= splitObject(this.#read());
    const decimal = decimalOf(this.#texts.get(name) ?? '');
    this.#decimals.set(name, decimal);
    return decimal;
  }
}
