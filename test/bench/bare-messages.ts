import { connect, type NatsConnection } from 'nats';
import type { Operation } from './measure.ts';

const subject = 'bench.round-trip';
const answerWithinMs = 5_000;

/** NATS without anything of ours. */
export class BareMessages implements AsyncDisposable {
  readonly #asking: NatsConnection;
  readonly #answering: NatsConnection;

  private constructor(asking: NatsConnection, answering: NatsConnection) {
    this.#asking = asking;
    this.#answering = answering;
    answering.subscribe(subject, { callback: (_error, message) => void message.respond() });
  }

  static async open(url: string): Promise<BareMessages> {
    const asking = await connect({ servers: url });
    const answering = await connect({ servers: url });
    const opened = new BareMessages(asking, answering);
    await answering.flush();
    return opened;
  }

  /** A message to another connection, and the answer to it. */
  roundTrip(): Operation {
    return () => this.#asking.request(subject, undefined, { timeout: answerWithinMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#asking.close(), this.#answering.close()]);
  }
}
