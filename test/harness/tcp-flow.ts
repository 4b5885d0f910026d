import type { Socket } from 'node:net';

export type Direction = 'toServer' | 'toClient';

/** The present disturbance of a connection. */
export type Link = { isStalled(way: Direction): boolean; delayMs(): number };

type Passing = { dueMs: number; bytes?: Buffer; isClose?: boolean };

const waitingBytesMax = 1024 * 1024;

/**
 * One direction of a connection: bytes, their end and the loss of the connection arrive in order.
 */
export class Flow {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #way: Direction;
  readonly #link: Link;
  readonly #waiting: Passing[] = [];
  #waitingBytes = 0;
  #isFull = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, way: Direction, link: Link) {
    this.#from = from;
    this.#to = to;
    this.#way = way;
    this.#link = link;
    from.on('data', (bytes) => this.#pass({ bytes: Buffer.from(bytes) }));
    from.on('end', () => this.#pass({}));
    from.on('close', () => this.#pass({ isClose: true }));
    to.on('drain', () => {
      this.#isFull = false;
      this.flush();
    });
    to.on('close', () => {
      clearTimeout(this.#timer);
      this.#waiting.length = 0;
    });
  }

  /** Sends everything that may be sent now. */
  flush(): void {
    while (!this.#isFull && !this.#link.isStalled(this.#way)) {
      const [next] = this.#waiting;
      if (next === undefined) break;
      const leftMs = next.dueMs - performance.now();
      if (leftMs > 0) {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.flush(), leftMs);
        break;
      }
      this.#waiting.shift();
      this.#send(next);
    }
    if (this.#waitingBytes < waitingBytesMax) this.#from.resume();
  }

  #pass(next: Omit<Passing, 'dueMs'>): void {
    this.#waiting.push({ ...next, dueMs: performance.now() + this.#link.delayMs() });
    this.#waitingBytes += next.bytes?.length ?? 0;
    if (this.#waitingBytes >= waitingBytesMax) this.#from.pause();
    this.flush();
  }

  #send({ bytes, isClose }: Passing): void {
    if (this.#to.destroyed) return;
    if (isClose) {
      this.#to.destroy();
    } else if (bytes === undefined) {
      this.#to.end();
    } else {
      this.#waitingBytes -= bytes.length;
      this.#isFull = !this.#to.write(bytes);
    }
  }
}
