import type { Log } from '@silo/runtime/log.ts';
import type { NatsConnection } from 'nats';
import type { NatsLink } from './connect.ts';

type Options = {
  subjects: readonly string[];
  onMessage(bytes: Uint8Array, subject: string): void;
  /**
   * Called when the server has the subscription, for the first time or again: earlier messages may
   * have been missed.
   */
  onLive?: () => void;
  log: Log;
};

/** Subscribes to core NATS subjects, across losses of the connection, until disposed of. */
export function subscribeSubjects(nats: NatsLink, options: Options): Disposable {
  return new Subscriptions(nats, options);
}

class Subscriptions implements Disposable {
  readonly #nats: NatsLink;
  readonly #options: Options;
  readonly #following: Disposable;
  #connection: NatsConnection | undefined;
  #subscriptions: { unsubscribe(): void }[] = [];

  constructor(nats: NatsLink, options: Options) {
    this.#nats = nats;
    this.#options = options;
    this.#following = nats.connected.subscribe((isConnected) => {
      if (isConnected) this.#onConnected();
    });
  }

  [Symbol.dispose](): void {
    this.#following[Symbol.dispose]();
    this.#connection = undefined;
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #onConnected(): void {
    const { connection } = this.#nats;
    if (connection === undefined) return;
    // A restored connection has renewed its subscriptions itself.
    if (connection !== this.#connection) this.#subscribe(connection);
    connection.flush().then(
      () => {
        if (this.#connection === connection) this.#options.onLive?.();
      },
      () => {}, // lost again; the next connection calls this again
    );
  }

  #subscribe(connection: NatsConnection): void {
    const { subjects, onMessage, log } = this.#options;
    this.#connection = connection;
    this.#subscriptions = subjects.map((subject) =>
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) onMessage(message.data, subject);
          else log.error({ subject, err: error }, 'NATS refused a subscription');
        },
      }),
    );
  }
}
