import type { Endpoints } from '@silo/embedded/endpoints.ts';
import { natsOptions } from '@silo/events/nats-options.ts';
import { connect, type Msg } from 'nats';

const subjectPrefix = 'silo.v1.';
const arrivalTimeoutMs = 15_000;
// No project token, API key or invite code may ever be published.
const secret = /(phc|phx|ivc)_[0-9A-Za-z]{20}/;

/** An event as received on NATS. */
export type ReceivedEvent = {
  /** `ce-id`: the same in every delivery of the event. */
  id: string;
  subject: string;
  /** Service and event, such as `project.moved`. */
  type: string;
  /** The id at the end of the subject. */
  about: string;
  body: Record<string, unknown>;
};

/** An event that a step must cause: its type, the id in its subject, and a part of its body. */
export type Expected = { type: string; about: string; body?: Record<string, unknown> };

/** The messages on NATS, received by a core subscription. */
export type Broadcast = AsyncDisposable & {
  /** Waits for the events, each of them new, and fails with those that do not come. */
  awaitEvents(expected: readonly Expected[]): Promise<void>;
  /**
   * The new events since the last call that were awaited or are `wanted`, in the order of arrival.
   */
  takeNew(wanted: (event: ReceivedEvent) => boolean): ReceivedEvent[];
};

/** Subscribes to all events of Silo. */
export async function listen(
  { nats: url, natsCa: caFile }: Pick<Endpoints, 'nats' | 'natsCa'>,
  signal: AbortSignal,
): Promise<Broadcast> {
  const connection = await connect({ ...natsOptions({ url, caFile }), name: 'silo demo' });
  let unseen: ReceivedEvent[] = [];
  const awaited = new Set<ReceivedEvent>();
  const known = new Set<string>();
  let arrived = Promise.withResolvers<void>();
  let broken: Error | undefined;
  const receive = (message: Msg) => {
    try {
      const event = read(message);
      if (known.has(event.id)) return; // NATS delivers at least once
      known.add(event.id);
      unseen.push(event);
    } catch (error) {
      broken = error instanceof Error ? error : new Error(String(error));
    }
    arrived.resolve();
    arrived = Promise.withResolvers();
  };
  connection.subscribe(`${subjectPrefix}>`, {
    callback: (error, message) => {
      if (error === null) receive(message);
      else broken = error;
    },
  });
  // Ensures that the server has the subscription before anything happens.
  await connection.flush();

  const awaitOne = async (expected: Expected, deadline: AbortSignal) => {
    for (;;) {
      signal.throwIfAborted();
      if (broken) throw broken;
      const found = unseen.find((event) => !awaited.has(event) && matches(event, expected));
      if (found) {
        awaited.add(found);
        return;
      }
      if (deadline.aborted) {
        const near = unseen.map(({ subject }) => subject).join(', ') || 'nothing';
        throw new Error(`NATS did not carry ${describe(expected)}; it carried ${near}`);
      }
      await Promise.race([arrived.promise, aborted(deadline)]);
    }
  };
  return {
    awaitEvents: async (expected) => {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(arrivalTimeoutMs)]);
      for (const one of expected) await awaitOne(one, deadline);
    },
    takeNew: (wanted) => {
      const taken = unseen.filter((event) => awaited.has(event) || wanted(event));
      unseen = unseen.filter((event) => !taken.includes(event));
      return taken;
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

function read(message: Msg): ReceivedEvent {
  const { subject } = message;
  const text = message.string();
  if (secret.test(text)) throw new Error(`NATS carried a secret in ${subject}`);
  const id = message.headers?.get('ce-id');
  if (!id) throw new Error(`NATS carried ${subject} without ce-id`);
  const [service = '', event = '', about = ''] = subject.slice(subjectPrefix.length).split('.');
  return { id, subject, type: `${service}.${event}`, about, body: JSON.parse(text) };
}

function matches(event: ReceivedEvent, { type, about, body = {} }: Expected): boolean {
  if (event.type !== type || event.about !== about) return false;
  return Object.entries(body).every(([field, value]) => event.body[field] === value);
}

function describe({ type, about, body }: Expected): string {
  const detail = body === undefined ? '' : ` with ${JSON.stringify(body)}`;
  return `${subjectPrefix}${type}.${about}${detail}`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
