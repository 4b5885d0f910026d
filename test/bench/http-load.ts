import { Agent, request } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { CapturedEvent } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { Load } from './measure.ts';

const answerWithinMs = 20_000;
// Bodies are made before they are measured, so their packing need not be fast.
const gzipLevel = 1;

/** Sends POST requests on connections that are kept open: as many as there are clients. */
export class HttpClient implements Disposable {
  readonly #agent = new Agent({ keepAlive: true });

  /** Rejects if the answer has another status. */
  post(
    url: string,
    body: Buffer,
    { status = 200, headers = {} }: { status?: number; headers?: Record<string, string> } = {},
  ): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const sent = request(url, {
      ...{ method: 'POST', agent: this.#agent, timeout: answerWithinMs },
      headers: {
        'content-type': 'application/json',
        'content-length': body.length,
        ...headers,
      },
    });
    sent.on('error', reject);
    sent.on('timeout', () => sent.destroy(new Error(`no answer from ${url}`)));
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === status) resolve(text);
        else reject(new Error(`${url} answered ${response.statusCode} ${text}`));
      });
    });
    sent.end(body);
    return promise;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/**
 * Bodies that are sent one after another, each made once: some in advance, the others when needed.
 */
export class Bodies {
  readonly #make: (turn: number) => Buffer;
  readonly #ready: Buffer[];
  #turn = 0;

  constructor(make: (turn: number) => Buffer, ahead: number) {
    this.#make = make;
    this.#ready = Array.from({ length: ahead }, (_, turn) => make(turn));
  }

  next(): Buffer {
    const turn = this.#turn++;
    return this.#ready[turn] ?? this.#make(turn);
  }

  /** Sends them to an address. */
  load(http: HttpClient, url: string, clients: number): Load {
    return { clients, operation: () => http.post(url, this.next()) };
  }
}

/** The body of a batch as SDKs send it to `/batch`, with gzip. */
export function batchBody(token: string, events: readonly CapturedEvent[]): Buffer {
  const batch = events.map(({ name, distinctId, uuid, timestamp, properties }) => ({
    ...{ event: name, distinct_id: distinctId, uuid, timestamp },
    properties: JSON.parse(properties),
  }));
  return gzipSync(JSON.stringify({ api_key: token, batch }), { level: gzipLevel });
}
