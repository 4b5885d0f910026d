import { redactText } from '@silo/runtime/redact.ts';

/**
 * Components of mongod that log only about the server. The others (COMMAND, QUERY, WRITE, ACCESS,
 * INDEX …) quote commands and documents that were slow, failed or refused.
 */
const innocent = new Set<unknown>([
  ...['-', 'CONTROL', 'NETWORK', 'STORAGE', 'RECOVERY', 'JOURNAL', 'WTCHKPT', 'FTDC'],
  ...['REPL', 'REPL_HB', 'ELECTION', 'INITSYNC', 'ROLLBACK', 'ASIO', 'CONNPOOL'],
]);
/** Attributes of the other components whose text quotes no document. */
const harmless = new Set(['type', 'ns', 'planSummary', 'appName', 'remote', 'user', 'mechanism']);

const blot = '###';
const word = /[^\s"'\\:=<>(){}[\],]+/g;

/**
 * Removes what clients sent from a line of mongod's log. MongoDB itself does this
 * (`redactClientLogData`) only in its Enterprise edition.
 */
export function redactMongodLine(line: string): string {
  return redactText(redactAttributes(line)).replace(word, (found) =>
    isEmail(found) ? blot : found,
  );
}

/**
 * Without a regular expression, which would search a long word again from each of its characters.
 */
function isEmail(text: string): boolean {
  const at = text.indexOf('@', 1);
  return at !== -1 && text.lastIndexOf('.', text.length - 2) > at + 1;
}

function redactAttributes(line: string): string {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return line; // mongod's messages about its options, before it has a log
  }
  if (!isObject(entry) || innocent.has(entry.c) || !isObject(entry.attr)) return line;
  const attr = Object.entries(entry.attr).map(([name, value]) => {
    const isPlain = typeof value === 'number' || typeof value === 'boolean' || harmless.has(name);
    return [name, isPlain ? value : blot];
  });
  return JSON.stringify({ ...entry, attr: Object.fromEntries(attr) });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
