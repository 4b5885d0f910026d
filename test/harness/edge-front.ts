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

const host = '127.0.0.1';
const answerWithinMs = 60_000;

/**
 * What happens to a request with events. `cut` and `refused` do not reach the edge: the connection
 * breaks, or the answer is 503. `unanswered` reaches it, and the connection breaks once the edge
 * has answered.
 */
export type Fate = 'answered' | 'unanswered' | 'refused' | 'cut';

/** Answered by the edge: its status. */
type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer };

/** An HTTP server in front of the edge that answers, refuses or breaks requests as a test says. */
export class EdgeFront implements AsyncDisposable {
  /** Of each request with events that has ended: the status, or 0 where the SDK got no answer. */
  readonly statuses: number[] = [];
  /** Number of requests with events that have arrived. */
  received = 0;
  readonly #server: Server;
  readonly #edge: URL;
  readonly #fateOf: (index: number) => Fate;

  private constructor(server: Server, edge: URL, fateOf: (index: number) => Fate) {
    this.#server = server;
    this.#edge = edge;
    this.#fateOf = fateOf;
    server.on('request', (incoming, response) => {
      // The SDK or the edge has gone: so is the request.
      this.#handle(incoming, response).catch(() => response.destroy());
    });
  }

  /** Listens on a port of its own. `fateOf` gets the index of a request with events. */
  static async start(edgeUrl: string, fateOf: (index: number) => Fate): Promise<EdgeFront> {
    const server = createServer({ keepAliveTimeout: answerWithinMs });
    server.listen({ host, port: 0 });
    await once(server, 'listening');
    return new EdgeFront(server, new URL(edgeUrl), fateOf);
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
    if (!isEvents) return write(response, await this.#forward(incoming));
    const fate = this.#fateOf(this.received++);
    let status = 0;
    try {
      if (fate === 'cut') return void response.destroy();
      const answer = fate === 'refused' ? await refuse(incoming) : await this.#forward(incoming);
      if (fate === 'unanswered') return void response.destroy();
      write(response, answer);
      status = answer.status;
    } finally {
      this.statuses.push(status);
    }
  }

  async #forward(incoming: IncomingMessage): Promise<Answer> {
    const { method, url, headers } = incoming;
    const forwarded = request(new URL(url ?? '/', this.#edge), {
      method,
      headers,
      agent: false,
      timeout: answerWithinMs,
    });
    forwarded.on('timeout', () => forwarded.destroy());
    forwarded.end(await buffer(incoming));
    const [answer]: IncomingMessage[] = await once(forwarded, 'response');
    if (answer === undefined) throw new Error('no answer');
    const { statusCode = 0, headers: answered } = answer;
    return { status: statusCode, headers: answered, body: await buffer(answer) };
  }
}

/** As the edge refuses what it cannot store within its time. */
async function refuse(incoming: IncomingMessage): Promise<Answer> {
  await buffer(incoming);
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
  // The connection is this server's own.
  const { connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...own } = headers;
  response.writeHead(status, { ...own, 'content-length': body.length });
  response.end(body);
}
