import type { OwnedProcess } from '@silo/embedded/processes.ts';

type Server = AsyncDisposable & { url: string; port: number; process: OwnedProcess };

/** A server that may be killed, and starts again where it stood. */
export class RestartableServer implements AsyncDisposable {
  readonly url: string;
  readonly #begin: (port?: number) => Promise<Server>;
  #present: Server;

  private constructor(begin: (port?: number) => Promise<Server>, present: Server) {
    this.#begin = begin;
    this.#present = present;
    this.url = present.url;
  }

  static async start(begin: (port?: number) => Promise<Server>): Promise<RestartableServer> {
    return new RestartableServer(begin, await begin());
  }

  /** Lets it hang, or go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#present.process.kill(signal);
  }

  /** Ends it as a power cut would, and returns when it is gone. */
  async kill(): Promise<void> {
    this.#present.process.kill('SIGKILL');
    await this.#present.process.exited;
  }

  /** Whatever had become of it: returns when it serves. */
  async start(): Promise<void> {
    if (this.#present.process.running) this.signal('SIGCONT');
    else this.#present = await this.#begin(this.#present.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#present[Symbol.asyncDispose]();
  }
}
