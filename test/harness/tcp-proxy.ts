import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type Direction, Flow, type Link } from './tcp-flow.ts';

const host = '127.0.0.1';

/** The disturbances of a network; each call replaces the previous one. */
export type Disturbance =
  /** Connections break, and new ones are refused. */
  | { kind: 'cut' }
  /**
   * Nothing arrives in these directions, and no connection breaks; after healing, everything
   * arrives late.
   */
  | { kind: 'stalled'; ways: readonly Direction[] }
  /** Everything takes longer by this delay, in each direction. */
  | { kind: 'slow'; delayMs: number };

/**
 * A TCP port in front of one server, or of several replicas of it, that a test controls. A new
 * connection goes to the next replica that accepts it.
 */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #replicas: readonly number[];
  readonly #connections = new Set<Connection>();
  #disturbance: Disturbance | undefined;
  #next: number;

  private constructor(server: Server, replicas: readonly number[], first: number) {
    this.#server = server;
    this.#replicas = replicas;
    this.#next = first;
    server.on('connection', (socket: Socket) => {
      socket.on('error', () => {}); // handled by its close event
      void this.#accept(socket);
    });
  }

  /** Listens on its own port, in front of these ports of 127.0.0.1; `first` is tried first. */
  static async start(replicas: readonly number[], first = 0): Promise<TcpProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen({ host, port: 0 });
    await once(server, 'listening');
    return new TcpProxy(server, replicas, first);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `${host}:${this.port}`;
  }

  /** Disturbs all traffic from now on. */
  disturb(disturbance: Disturbance): void {
    this.#disturbance = disturbance;
    if (disturbance.kind === 'cut') for (const connection of this.#connections) connection.break();
    this.#flush();
  }

  /** Lets everything pass again. */
  heal(): void {
    this.#disturbance = undefined;
    this.#flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const connection of this.#connections) connection.break();
    await closed;
  }

  #flush(): void {
    for (const connection of this.#connections) connection.flush();
  }

  async #accept(client: Socket): Promise<void> {
    if (this.#disturbance?.kind === 'cut' || !this.#server.listening) {
      client.destroy();
      return;
    }
    const upstream = await this.#reach();
    if (upstream === undefined || client.destroyed || !this.#server.listening) {
      client.destroy();
      upstream?.destroy();
      return;
    }
    const connection = new Connection(client, upstream, {
      isStalled: (way) =>
        this.#disturbance?.kind === 'stalled' && this.#disturbance.ways.includes(way),
      delayMs: () => (this.#disturbance?.kind === 'slow' ? this.#disturbance.delayMs : 0),
    });
    this.#connections.add(connection);
    connection.closed.then(() => this.#connections.delete(connection));
  }

  /** The next replica that accepts a connection; undefined if none does. */
  async #reach(): Promise<Socket | undefined> {
    for (let tries = 0; tries < this.#replicas.length; tries++) {
      const port = this.#replicas[this.#next++ % this.#replicas.length] ?? 0;
      const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
      try {
        await once(socket, 'connect');
        return socket;
      } catch {
        socket.destroy();
      }
    }
    return undefined;
  }
}

class Connection {
  readonly closed: Promise<unknown>;
  readonly #sockets: readonly Socket[];
  readonly #flows: readonly Flow[];

  constructor(client: Socket, upstream: Socket, link: Link) {
    this.#sockets = [client, upstream];
    this.closed = Promise.all(this.#sockets.map((socket) => closeOf(socket)));
    this.#flows = [
      new Flow(client, upstream, 'toServer', link),
      new Flow(upstream, client, 'toClient', link),
    ];
  }

  flush(): void {
    for (const flow of this.#flows) flow.flush();
  }

  break(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => {}); // the close follows
    socket.once('close', () => resolve());
  });
}
