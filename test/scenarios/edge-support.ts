/** The HTTP edge of the project service, as scenarios use it. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { freePort } from '@silo/embedded/ports.ts';
import { PostHog } from 'posthog-node';
import { startTestSilo } from '../harness/silo.ts';
import { scenarios } from './support.ts';

const host = '127.0.0.1';

/** Scenarios whose project service has an HTTP edge, and its URL. */
export function edgeScenarios(settings: Parameters<typeof startTestSilo>[0] = {}) {
  const edge = { url: '' };
  const test = scenarios(async () => {
    const port = await freePort();
    edge.url = `http://${host}:${port}`;
    return await startTestSilo({ ...settings, edgeAddress: { host, port } });
  });
  return { test, edge };
}

/** What the edge answered. */
export type Answer = {
  status: number;
  headers: IncomingHttpHeaders;
  /** The body as JSON; its text where it is none. */
  body: unknown;
};

type Sending = {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
};

/** Sends one HTTP request, as it is: follows nothing and adds no header. */
export function send(url: string, { method = 'POST', headers = {}, body }: Sending = {}) {
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
 * posthog-node, the statuses that it got (0 without an answer), and what it reported: the names of
 * sent events, and errors.
 */
export function openSdk(token: string, host: string, { retries = 3, onRefusal = () => {} } = {}) {
  const statuses: number[] = [];
  const errors: unknown[] = [];
  const sent: string[] = [];
  const sdk = new PostHog(token, {
    host,
    fetchRetryDelay: 100,
    fetchRetryCount: retries,
    fetch: async (url, options) => {
      const index = statuses.push(0) - 1;
      const answer = await fetch(url, options as RequestInit);
      statuses[index] = answer.status;
      if (!answer.ok) onRefusal();
      return answer;
    },
  });
  sdk.on('error', (error: unknown) => errors.push(error));
  sdk.on('flush', (events: { event: string }[]) => sent.push(...events.map(({ event }) => event)));
  return { sdk, statuses, errors, sent };
}

/** Sends one event after the other, each with a flush, until it is stopped; then returns their names. */
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
