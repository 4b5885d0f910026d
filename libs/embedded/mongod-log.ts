import { redactText } from '@silo/runtime/redact.ts';

/**
 * Parts of mongod that log about the server alone. The others (COMMAND, QUERY, WRITE, ACCESS, INDEX …)
 * quote commands and documents: slow ones, failed ones and refused ones.
 */
const innocent = new Set<unknown>([
  ...['-', 'CONTROL', 'NETWORK', 'STORAGE', 'RECOVERY', 'JOURNAL', 'WTCHKPT', 'FTDC'],
  ...['REPL', 'REPL_HB', 'ELECTION', 'INITSYNC', 'ROLLBACK', 'ASIO', 'CONNPOOL'],
]);
/** Text in the attributes of the others that names no document. */
const harmless = new Set(['type', 'ns', 'planSummary', 'appName', 'remote', 'user', 'mechanism']);

const blot = '###';
const word = /[^\s"'\\:=<>(){}[\],]+/g;

/**
 * A line of mongod's log without what clients sent. MongoDB does this itself (`redactClientLogData`)
 * only in its Enterprise edition.
 */
export function redactMongodLine(line: string): string {
  return redactText(redactAttributes(line)).replace(word, (found) =>
    isEmail(found) ? blot : found,
  );
}

/** Without a pattern, which would search a long word again from each of its characters. */
function isEmail(text: string): boolean {
  const at = text.indexOf('@', 1);
  return at !== -1 && text.lastIndexOf('.', text.length - 2) > at + 1;
}

function redactAttributes(line: string): string {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return line; // what mongod says before it has a log: about its options
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
