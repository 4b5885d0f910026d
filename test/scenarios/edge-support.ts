/** The HTTP edge of the project service in scenarios. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { freePort } from '@silo/embedded/ports.ts';
import { PostHog } from 'posthog-node';
import { isLateAnswer } from '../harness/edge-front.ts';
import { untilInTime } from '../harness/eventually.ts';
import { startTestSilo } from '../harness/silo.ts';
import { scenarios } from './support.ts';

const host = '127.0.0.1';

/** Scenarios whose project service has an HTTP edge; also returns its URL. */
export function edgeScenarios(settings: Parameters<typeof startTestSilo>[0] = {}) {
  const edge = { url: '' };
  const test = scenarios(async () => {
    const port = await freePort();
    edge.url = `http://${host}:${port}`;
    return await startTestSilo({ ...settings, edgeAddress: { host, port } });
  });
  return { test, edge };
}

/** The answer of the edge. */
export type Answer = {
  status: number;
  headers: IncomingHttpHeaders;
  /** The body as JSON, or as text if it is not JSON. */
  body: unknown;
};

type Sending = {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
};

/**
 * Sends one HTTP request as given: follows no redirect and adds no header. Repeats it if the edge,
 * on a busy machine, had no time to store or check it.
 */
export async function send(url: string, sending: Sending = {}): Promise<Answer> {
  return (await sendCounted(url, sending)).answer;
}

/** The same; also returns the number of requests, for events that each request stores again. */
export async function sendCounted(url: string, sending: Sending = {}) {
  let count = 0;
  const answer = await untilInTime(
    () => {
      count++;
      return sendOnce(url, sending);
    },
    ({ status, body }) => isLateAnswer({ status, body: JSON.stringify(body) }),
  );
  return { answer, count };
}

function sendOnce(url: string, { method = 'POST', headers = {}, body }: Sending) {
  return new Promise<Answer>((resolve, reject) => {
    const sent = httpRequest(url, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: jsonOf(text),
        });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * Opens posthog-node. Returns the statuses that it got (0 without an answer) and its reports: the
 * names of sent events, and errors.
 */
export function openSdk(
  token: string,
  host: string,
  { retries = 3, onRefusal = () => {}, isSteady = (): boolean => true } = {},
) {
  const statuses: number[] = [];
  const errors: unknown[] = [];
  const sent: string[] = [];
  const sdk = new PatientPostHog(token, {
    host,
    fetchRetryDelay: 100,
    fetchRetryCount: retries,
    requestTimeout: patienceMs,
    fetch: async (url, options) => {
      const index = statuses.push(0) - 1;
      const send = isSteady() ? fetchSteadily : fetch;
      const answer = await send(url, options as RequestInit);
      statuses[index] = answer.status;
      if (!answer.ok) onRefusal();
      return answer;
    },
  });
  sdk.on('error', (error: unknown) => errors.push(error));
  sdk.on('flush', (events: { event: string }[]) => sent.push(...events.map(({ event }) => event)));
  return { sdk, statuses, errors, sent };
}

/**
 * Far beyond what a busy machine takes; by default the SDK gives up after 10 s, or after 30 s at
 * its end.
 */
const patienceMs = 120_000;

class PatientPostHog extends PostHog {
  override shutdown(shutdownTimeoutMs = patienceMs): Promise<void> {
    return super.shutdown(shutdownTimeoutMs);
  }
}

/** Like `send`: a 503 of a busy machine does not count as an answer. */
async function fetchSteadily(url: string, options: RequestInit): Promise<Response> {
  return await untilInTime(
    () => fetch(url, options),
    async (answer) => {
      const { status } = answer;
      return status === 503 && isLateAnswer({ status, body: await answer.clone().text() });
    },
  );
}

/**
 * Sends one event after another, each with a flush, until it is stopped; then returns their names.
 */
export function keepSending(sdk: PostHog): { stop(): Promise<string[]> } {
  const names: string[] = [];
  let isOver = false;
  const sending = (async () => {
    while (!isOver) {
      const event = `seen ${names.length}`;
      names.push(event);
      sdk.capture({ distinctId: 'ada', event });
      await sdk.flush();
    }
  })();
  return {
    stop: async () => {
      isOver = true;
      await sending;
      await sdk.shutdown();
      return names.sort();
    },
  };
}
