import pino from 'pino';
import { redactFields, redactText } from './redact.ts';

export type Log = pino.Logger;

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/**
 * The logger of one process: JSON lines on standard output (or `destination`), each with `service`
 * and `region`. Secrets are redacted by name and by form (see redact.ts). For one call use
 * `log.child({ callId, traceId })`; never a request id, which may be a secret.
 */
export function createLogger(options: {
  service: string;
  region: string;
  level: LogLevel;
  destination?: pino.DestinationStream;
}): Log {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: { service: options.service, region: options.region },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }), log: redactFields },
    // redactFields has already converted errors to fields, so pino's own serializer must not run.
    serializers: { err: (fields) => fields },
    hooks: { streamWrite: redactText },
  };
  // Synchronous: an exit right after a call loses no line and keeps the order.
  const { destination = pino.destination({ fd: 1, sync: true }) } = options;
  return redactChildren(pino(settings, destination));
}

// pino does not apply its bindings formatter to a child. Children inherit this one.
function redactChildren(log: Log): Log {
  const plainChild = log.child;
  const child = function (this: Log, bindings: pino.Bindings) {
    return plainChild.call(this, redactFields(bindings));
  };
  return Object.assign(log, { child });
}

/** Standard output as lines for people, in colours where they can be seen. */
export async function readableOutput(): Promise<pino.DestinationStream> {
  // Loaded on use: a process that writes JSON does not need it.
  const { default: pretty } = await import('pino-pretty');
  return pretty({
    sync: true,
    colorize: process.stdout.isTTY && !process.env.NO_COLOR,
    ignore: 'service,region',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  });
}

/** A logger without output. */
export function silentLogger(): Log {
  return pino({ level: 'silent' });
}
