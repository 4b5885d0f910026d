import { join } from 'node:path';
import { type Mongod, startMongod } from '@silo/embedded/mongod.ts';
import { obtain } from '@silo/embedded/obtain.ts';
import { type Silo, startSilo } from '@silo/embedded/silo.ts';

/** What rows measure on. Each part is started when the first row asks for it. */
export class Bench implements AsyncDisposable {
  readonly directory: string;
  readonly #started = new AsyncDisposableStack();
  #mongod: Promise<Mongod> | undefined;
  #silo: Promise<Silo> | undefined;

  /** `directory` holds everything that the run leaves behind. */
  constructor(directory: string) {
    this.directory = directory;
  }

  /** The connection string of the one mongod that all rows, and their floors, share. */
  async mongodb(): Promise<string> {
    this.#mongod ??= this.#startMongod();
    return (await this.#mongod).url;
  }

  /** The four services, as processes of their own, on that mongod. */
  silo(): Promise<Silo> {
    this.#silo ??= this.#startSilo();
    return this.#silo;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#started.disposeAsync();
  }

  async #startMongod(): Promise<Mongod> {
    const { path: binary } = await obtain('mongod', { log: tell });
    // As `npm start` has it, journalCommitInterval 5 ms included.
    const mongod = await startMongod({ binary, directory: join(this.directory, 'mongodb') });
    return this.#started.use(mongod);
  }

  async #startSilo(): Promise<Silo> {
    const mongodb = await this.mongodb();
    await obtain('nats-server', { log: tell });
    const { MONGODB_URL, NATS_URL, ...environment } = process.env;
    const silo = await startSilo({
      directory: join(this.directory, 'silo'),
      log: quiet,
      environment,
      servers: { mongodb },
      freePorts: true,
    });
    return this.#started.use(silo);
  }
}

/** A first run may download for a while. Beside the table, which goes to standard output. */
function tell(line: string): void {
  console.error(line);
}

/** Ports and processes are of no interest here. */
function quiet(): void {}
