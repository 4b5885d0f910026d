/**
 * Many bare connections to NATS in a separate process; each answers every message with one of its
 * own. Measures what the machine takes for that, independent of the protocol. Notifies its parent
 * when all receive; ends with it.
 */
import { natsOptions } from '@silo/events/nats-options.ts';
import { connect } from 'nats';

/** Every connection answers a message on the subject with this body. */
export type BareFleetOptions = { url: string; connections: number; subject: string; body: string };

const { url, connections, subject, body }: BareFleetOptions = JSON.parse(process.argv[2] ?? '');
for (let count = 0; count < connections; count++) {
  const connection = await connect(natsOptions({ url }));
  connection.subscribe(subject, { callback: (_error, message) => void message.respond(body) });
  await connection.flush();
}
process.once('disconnect', () => process.exit());
process.send?.('subscribed');
