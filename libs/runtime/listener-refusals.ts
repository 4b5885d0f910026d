import { Counter } from 'prom-client';
import { type Clock, systemClock } from './clock.ts';
import { limitLines } from './line-sampling.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** The ports of a process. */
export type Listener = 'public' | 'internal' | 'edge' | 'metrics';

/** Why a listener refused a connection or a request. docs/metrics.md describes each reason. */
export type ListenerRefusal =
  | 'client_certificate'
  | 'connections_max'
  | 'connections_per_address_max'
  | 'handshake'
  | 'headers_too_large'
  | 'invalid_call'
  | 'method_not_allowed'
  | 'not_found'
  | 'protocol'
  | 'rate_limited'
  | 'timeout';

/**
 * Reports one refusal: its reason, the client's IP address if it is known, and the code of the
 * error. The code must come from Node or a library, never from the client.
 */
export type ReportListenerRefusal = (
  reason: ListenerRefusal,
  address: string | undefined,
  errorCode?: string | undefined,
) => void;

/** Maximum number of lines of a listener in 10 s, as for refused RPCs: anybody can cause them. */
const linesMax = 1_000;

const counters = new WeakMap<Metrics, Counter>();

/**
 * Returns a function that reports what a listener refuses before any handler: each refusal is
 * counted, and one of each address and reason in 10 s is logged. The line holds nothing that the
 * client has sent.
 */
export function createListenerRefusals(
  listener: Listener,
  { log, metrics, clock = systemClock }: { log: Log; metrics?: Metrics | undefined; clock?: Clock },
): ReportListenerRefusal {
  const counter = metrics && counterIn(metrics);
  const message = `refusals of the ${listener} listener were not logged`;
  const isLogged = limitLines(log, { linesMax, linesPerCallerMax: 1, message, clock });
  return (reason, address = 'unknown', error) => {
    counter?.inc({ listener, reason });
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
    if (!isLogged(`${reason} ${plain}`)) return;
    log.info({ listener, reason, address: plain, error }, 'refused before any handler');
  };
}

/** The metric that all listeners of a process share. */
function counterIn(metrics: Metrics): Counter {
  const counter =
    counters.get(metrics) ??
    new Counter({
      name: 'silo_listener_refusals_total',
      help: 'Connections and requests that a listener refused before any handler, by reason.',
      labelNames: ['listener', 'reason'],
      registers: [metrics],
    });
  counters.set(metrics, counter);
  return counter;
}

/** The reason for an error that Node reports for an HTTP/1.1 connection (`clientError`). */
export function reasonOfClientError({ code }: NodeJS.ErrnoException): ListenerRefusal {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'timeout';
  return code === 'HPE_HEADER_OVERFLOW' ? 'headers_too_large' : 'protocol';
}
