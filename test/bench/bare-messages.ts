import { natsOptions } from '@silo/events/nats-options.ts';
import { race } from '@silo/runtime/deadline.ts';
import { connect, createInbox, type NatsConnection } from 'nats';
import { startForked } from '../harness/forked.ts';
import type { BareFleetOptions } from './bare-fleet.ts';
import type { Operation } from './measure.ts';

const subject = 'bench.round-trip';
const answerWithinMs = 5_000;

/** One message of `bytes` that many connections of one process receive, and all replies. */
export async function fanOut(
  url: string,
  { connections, bytes }: { connections: number; bytes: number },
): Promise<Operation & AsyncDisposable & { pid: number }> {
  const body = 'x'.repeat(bytes);
  const options: BareFleetOptions = { url, connections, subject: `${subject}.fan-out`, body };
  const fleet = await startForked(new URL('bare-fleet.ts', import.meta.url), options);
  const requester = await connect(natsOptions({ url }));
  let answered = () => {};
  const inbox = createInbox();
  requester.subscribe(inbox, { callback: () => answered() });
  const operation = async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let left = connections;
    answered = () => {
      if (--left === 0) resolve();
    };
    requester.publish(options.subject, body, { reply: inbox });
    await race(promise, AbortSignal.timeout(answerWithinMs));
  };
  return Object.assign(operation, {
    pid: fleet.pid,
    [Symbol.asyncDispose]: async () => {
      await requester.close();
      await fleet[Symbol.asyncDispose]();
    },
  });
}

/** NATS without any code of Silo. */
export class BareMessages implements AsyncDisposable {
  readonly #requester: NatsConnection;
  readonly #answering: NatsConnection;

  private constructor(requester: NatsConnection, answering: NatsConnection) {
    this.#requester = requester;
    this.#answering = answering;
    answering.subscribe(subject, { callback: (_error, message) => void message.respond() });
  }

  static async open(url: string): Promise<BareMessages> {
    const requester = await connect(natsOptions({ url }));
    const answering = await connect(natsOptions({ url }));
    const opened = new BareMessages(requester, answering);
    await answering.flush();
    return opened;
  }

  /** A message to another connection, and its answer. */
  roundTrip(): Operation {
    return () => this.#requester.request(subject, undefined, { timeout: answerWithinMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#requester.close(), this.#answering.close()]);
  }
}
