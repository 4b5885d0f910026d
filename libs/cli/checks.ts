import type { Check } from './prompt.ts';

// Checks of input at a prompt, before it is sent; the services decide.

/** Accepts text of 1 to `max` characters. */
export function textOf(max: number): Check {
  return (text) =>
    text.length > 0 && [...text].length <= max ? undefined : `Write 1 to ${max} characters.`;
}

/** Accepts an e-mail address. */
export const anEmail: Check = (text) =>
  /^[^\s@]+@[^\s@]+$/.test(text) && text.length <= 254
    ? undefined
    : 'Write an e-mail such as ada@example.com.';

const countries = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });

/** Accepts a country code of ISO 3166-1, in any case. */
export const aCountry: Check = (text) =>
  /^[A-Za-z]{2}$/.test(text) && countries.of(text.toUpperCase()) !== undefined
    ? undefined
    : 'Write the two letters of a country, such as DE.';
