import type { Endpoints } from '@silo/embedded/endpoints.ts';
import { natsOptions } from '@silo/events/nats-options.ts';
import { connect, type Msg } from 'nats';

const subjectPrefix = 'silo.v1.';
const arrivalTimeoutMs = 15_000;
// Neither a project token nor an API key nor an invite's code may ever be published.
const secret = /(phc|phx|ivc)_[0-9A-Za-z]{20}/;

/** An event as NATS carried it. */
export type ReceivedEvent = {
  /** `ce-id`: the same however often the event is delivered. */
  id: string;
  subject: string;
  /** Service and event, such as `project.moved`. */
  type: string;
  /** The id that the subject ends with. */
  about: string;
  body: Record<string, unknown>;
};

/** An event that a step must cause: its type, the id in its subject, and some of its body. */
export type Expected = { type: string; about: string; body?: Record<string, unknown> };

/** The messages on NATS, received by a core subscription. */
export type Broadcast = AsyncDisposable & {
  /** Waits for the events, each one a new one, and fails with those that do not come. */
  awaitEvents(expected: readonly Expected[]): Promise<void>;
  /** What came since the last look and was awaited or is `wanted`, in the order of arrival. */
  takeNew(wanted: (event: ReceivedEvent) => boolean): ReceivedEvent[];
};

/** Subscribes to everything that Silo says. */
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
      if (known.has(event.id)) return; // at least once is what NATS promises
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
  // The server has the subscription before anything happens.
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
