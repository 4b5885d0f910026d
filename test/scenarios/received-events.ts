import type { Msg } from 'nats';
import { connectToNats } from '../harness/patient-nats.ts';
import type { Deployment } from '../invariants/snapshot.ts';

/** A message as a subscriber without Silo's code receives it. */
export type ReceivedMessage = {
  subject: string;
  headers: Record<string, string>;
  body: Record<string, unknown>;
};

/**
 * A core NATS subscription to all events; `received` grows as messages arrive. Leaves out repeated
 * deliveries, which are allowed: those with the same ID, subject and body.
 */
export async function subscribe(
  silo: Pick<Deployment, 'natsUrl' | 'natsSubjectPrefix'>,
): Promise<AsyncDisposable & { received: ReceivedMessage[] }> {
  const connection = await connectToNats({ url: silo.natsUrl });
  const received: ReceivedMessage[] = [];
  const seen = new Set<string>();
  connection.subscribe(`${silo.natsSubjectPrefix}.>`, {
    callback: (error, message) => {
      if (error !== null) return;
      const id = message.headers?.get('ce-id');
      const whole = JSON.stringify([id, message.subject, message.string()]);
      if (!id || !seen.has(whole)) received.push(read(message));
      seen.add(whole);
    },
  });
  await connection.flush();
  return { received, [Symbol.asyncDispose]: () => connection.close() };
}

function read({ subject, headers, data }: Msg): ReceivedMessage {
  const body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
  const all = (headers?.keys() ?? []).map((key) => [key, headers?.get(key) ?? '']);
  return { subject, headers: Object.fromEntries(all), body };
}

/** The last message on a subject. */
export function find(received: ReceivedMessage[], subject: string): ReceivedMessage {
  const found = received.findLast((each) => each.subject === subject);
  if (found === undefined) throw new Error(`nothing came on ${subject}`);
  return found;
}
