import type { OwnedProcess } from '@silo/embedded/processes.ts';

type Server = AsyncDisposable & { url: string; port: number; process: OwnedProcess };

/** A server that may be killed, and starts again where it stood, with the same users. */
export class RestartableServer<S extends Server> implements AsyncDisposable {
  /** Its first run, by which its users reach every later one. */
  readonly access: S;
  readonly #begin: (port?: number) => Promise<S>;
  #present: S;

  private constructor(begin: (port?: number) => Promise<S>, present: S) {
    this.#begin = begin;
    this.#present = present;
    this.access = present;
  }

  static async start<S extends Server>(
    begin: (port?: number) => Promise<S>,
  ): Promise<RestartableServer<S>> {
    return new RestartableServer(begin, await begin());
  }

  get url(): string {
    return this.access.url;
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
