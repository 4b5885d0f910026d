import type { OwnedProcess } from '@silo/embedded/processes.ts';

type Server = AsyncDisposable & {
  url: string;
  urlOf(user: never): string;
  port: number;
  process: OwnedProcess;
};

/**
 * A server that a test can kill, pause and start again, on the same port and with the same users.
 */
export class RestartableServer<S extends Server> implements AsyncDisposable {
  /** The URL of its administrator. */
  readonly url: string;
  /** The URL of one of its users. */
  readonly urlOf: S['urlOf'];
  readonly #start: (port?: number) => Promise<S>;
  #current: S;

  private constructor(start: (port?: number) => Promise<S>, first: S) {
    this.url = first.url;
    this.urlOf = first.urlOf;
    this.#start = start;
    this.#current = first;
  }

  /** Calls `start` now, with no port, and after each kill with the port of the first start. */
  static async start<S extends Server>(
    start: (port?: number) => Promise<S>,
  ): Promise<RestartableServer<S>> {
    return new RestartableServer(start, await start());
  }

  /** Pauses or resumes the process. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#current.process.kill(signal);
  }

  /** Kills the process with SIGKILL and waits until it has exited. */
  async kill(): Promise<void> {
    this.#current.process.kill('SIGKILL');
    await this.#current.process.exited;
  }

  /** Resumes a paused process, starts a killed one, and returns when the server is ready. */
  async start(): Promise<void> {
    if (this.#current.process.running) this.signal('SIGCONT');
    else this.#current = await this.#start(this.#current.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#current[Symbol.asyncDispose]();
  }
}
