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

/** posthog-node, the statuses that it got, and the errors that it reported. */
export function openSdk(token: string, host: string, { retries = 3, onRefusal = () => {} } = {}) {
  const statuses: number[] = [];
  const errors: unknown[] = [];
  const sdk = new PostHog(token, {
    host,
    fetchRetryDelay: 100,
    fetchRetryCount: retries,
    fetch: async (url, options) => {
      const answer = await fetch(url, options as RequestInit);
      statuses.push(answer.status);
      if (!answer.ok) onRefusal();
      return answer;
    },
  });
  sdk.on('error', (error: unknown) => errors.push(error));
  return { sdk, statuses, errors };
}
