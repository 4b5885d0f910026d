import { cut } from '../text.ts';

const valueWidth = 40;

/**
 * A short form of properties: first those of the app, then those of the SDK, which begin with `$`.
 */
export function propertiesText(properties: string): string {
  const entries = Object.entries(parse(properties));
  const isOfSdk = ([name]: [string, unknown]) => name.startsWith('$');
  const ordered = [...entries.filter((each) => !isOfSdk(each)), ...entries.filter(isOfSdk)];
  return ordered.map(([name, value]) => `${name}=${cut(valueText(value), valueWidth)}`).join(' ');
}

/** Keeps numbers as text: a double would change the digits of large ones. */
function parse(text: string): object {
  const reviver = (_: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? (context?.source ?? value) : value;
  const value: unknown = JSON.parse(text || '{}', reviver);
  return typeof value === 'object' && value !== null ? value : {};
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return '[…]';
  return typeof value === 'object' && value !== null ? '{…}' : String(value);
}
