import type { Check } from './prompt.ts';

// What can be checked while it is typed; the services decide.

/** Something in at most so many characters. */
export function textOf(max: number): Check {
  return (text) =>
    text.length > 0 && [...text].length <= max ? undefined : `Write 1 to ${max} characters.`;
}

/** An e-mail. */
export const anEmail: Check = (text) =>
  /^[^\s@]+@[^\s@]+$/.test(text) && text.length <= 254
    ? undefined
    : 'Write an e-mail such as ada@example.com.';

const countries = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });

/** A country by its code of ISO 3166-1, in any case. */
export const aCountry: Check = (text) =>
  /^[A-Za-z]{2}$/.test(text) && countries.of(text.toUpperCase()) !== undefined
    ? undefined
    : 'Write the two letters of a country, such as DE.';
