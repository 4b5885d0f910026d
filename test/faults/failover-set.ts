import { type Mongod, type MongodSet, startMongodSet } from '@silo/embedded/mongod.ts';
import type { MongodbAccess } from '@silo/embedded/mongod-users.ts';
import type { MongoClient } from 'mongodb';
import { required } from '../harness/environment.ts';
import { failPoints } from './fault-silo.ts';

/** The port of the primary; rejects while there is none. */
export async function primaryPort(mongo: MongoClient): Promise<number> {
  const { isWritablePrimary, me } = await mongo.db('admin').command({ hello: 1 });
  if (isWritablePrimary !== true) throw new Error('there is no primary');
  return Number(String(me).split(':')[1]);
}

/** Three mongod, whose primary can be paused, be killed or be made to step down. */
export class FailoverSet implements AsyncDisposable {
  readonly url: string;
  readonly urlOf: MongodbAccess['urlOf'];
  readonly #set: MongodSet;

  private constructor(set: MongodSet) {
    this.url = set.url;
    this.urlOf = set.urlOf;
    this.#set = set;
  }

  static async start(directory: string): Promise<FailoverSet> {
    const binary = required('MONGOD_BINARY');
    const sizes = { cacheSizeGB: 0.25 };
    return new FailoverSet(await startMongodSet({ binary, directory, ...sizes, ...failPoints }));
  }

  /** Pauses the primary; when it continues, it does not know about the next primary. */
  async pausePrimary(mongo: MongoClient): Promise<void> {
    const primary = await this.#primary(mongo);
    primary.process.kill('SIGSTOP');
  }

  /** Kills the primary with SIGKILL, waits until it has exited, and returns its port. */
  async killPrimary(mongo: MongoClient): Promise<number> {
    const { port, process } = await this.#primary(mongo);
    process.kill('SIGKILL');
    await process.exited;
    return port;
  }

  /** Makes the primary step down. */
  async stepDown(mongo: MongoClient): Promise<void> {
    // The answer may be lost with its connection.
    await mongo
      .db('admin')
      .command({ replSetStepDown: 10, force: true })
      .catch(() => {});
  }

  /** Resumes a paused member. */
  async start(): Promise<void> {
    for (const { process } of this.#set.members) process.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.start();
    await this.#set[Symbol.asyncDispose]();
  }

  async #primary(mongo: MongoClient): Promise<Mongod> {
    const port = await primaryPort(mongo);
    const primary = this.#set.members.find((member) => member.port === port);
    if (primary === undefined) throw new Error(`no member has the port ${port}`);
    return primary;
  }
}
