import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { untilInTime } from './eventually.ts';

const host = '127.0.0.1';
const answerWithinMs = 60_000;

/**
 * What happens to a request with events. `cut` and `refused` do not reach the edge: the connection
 * breaks, or the answer is 503. `unanswered` reaches it, and the connection breaks once the edge
 * has answered.
 */
export type Fate = 'answered' | 'unanswered' | 'refused' | 'cut';

/** Called with the body of each request with events that has ended, and its status, or 0. */
type OnEnded = (body: Buffer, status: number) => void;

type Options = { fateOf: (index: number) => Fate; onEnded: OnEnded; isSteady: boolean };

/** Answered by the edge: its status. */
type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer };

/** Whether the edge has answered that a server behind it did not respond in time. */
export function isLateAnswer({ status, body }: { status: number; body: string | Buffer }): boolean {
  return status === 503 && body.includes('"DEPENDENCY_UNAVAILABLE"');
}

/**
 * An HTTP server in front of the edge that answers, refuses or breaks requests as the test demands.
 */
export class EdgeFront implements AsyncDisposable {
  /** The status of each request with events that has ended, or 0 if the SDK got no answer. */
  readonly statuses: number[] = [];
  /** Number of requests with events that have arrived. */
  received = 0;
  readonly #server: Server;
  readonly #edge: URL;
  readonly #fateOf: (index: number) => Fate;
  readonly #onEnded: OnEnded;
  readonly #isSteady: boolean;

  private constructor(server: Server, edge: URL, { fateOf, onEnded, isSteady }: Options) {
    this.#server = server;
    this.#edge = edge;
    this.#fateOf = fateOf;
    this.#onEnded = onEnded;
    this.#isSteady = isSteady;
    server.on('request', (incoming, response) => {
      // The SDK or the edge has closed the connection, so the request ends.
      this.#handle(incoming, response).catch(() => response.destroy());
    });
  }

  /**
   * Listens on its own port. `fateOf` receives the index of a request with events. With `isSteady`,
   * repeats a request that the edge, on a busy machine, had no time to store.
   */
  static async start(
    edgeUrl: string,
    fateOf: (index: number) => Fate = () => 'answered',
    onEnded: OnEnded = () => {},
    isSteady = false,
  ): Promise<EdgeFront> {
    const server = createServer({ keepAliveTimeout: answerWithinMs });
    server.listen({ host, port: 0 });
    await once(server, 'listening');
    return new EdgeFront(server, new URL(edgeUrl), { fateOf, onEnded, isSteady });
  }

  get url(): string {
    return `http://${host}:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const isEvents = /^\/(batch|e|capture|i)\b/.test(incoming.url ?? '');
    const body = await buffer(incoming);
    if (!isEvents) return write(response, await this.#forward(incoming, body));
    const fate = this.#fateOf(this.received++);
    let status = 0;
    try {
      if (fate === 'cut') return void response.destroy();
      const answer = fate === 'refused' ? refuse(incoming) : await this.#forward(incoming, body);
      if (fate === 'unanswered') return void response.destroy();
      write(response, answer);
      status = answer.status;
    } finally {
      this.statuses.push(status);
      this.#onEnded(body, status);
    }
  }

  async #forward(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
    const forward = () => this.#forwardOnce(incoming, body);
    return await (this.#isSteady ? untilInTime(forward, isLateAnswer) : forward());
  }

  async #forwardOnce(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
    const { method, url, headers } = incoming;
    const forwarded = request(new URL(url ?? '/', this.#edge), {
      method,
      headers,
      agent: false,
      timeout: answerWithinMs,
    });
    forwarded.on('timeout', () => forwarded.destroy());
    forwarded.end(body);
    const [answer]: IncomingMessage[] = await once(forwarded, 'response');
    if (answer === undefined) throw new Error('no answer');
    const { statusCode = 0, headers: answered } = answer;
    return { status: statusCode, headers: answered, body: await buffer(answer) };
  }
}

/** Refuses like the edge when it cannot store events in time. */
function refuse(incoming: IncomingMessage): Answer {
  const { origin } = incoming.headers;
  const body = Buffer.from('{"error":{"reason":"DEPENDENCY_UNAVAILABLE"}}');
  const headers = {
    'content-type': 'application/json',
    'retry-after': '1',
    'access-control-allow-origin': origin ?? '*',
    'access-control-allow-credentials': 'true',
  };
  return { status: 503, headers, body };
}

function write(response: ServerResponse, { status, headers, body }: Answer): void {
  // The headers of the connection are this server's own.
  const { connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...own } = headers;
  response.writeHead(status, { ...own, 'content-length': body.length });
  response.end(body);
}
