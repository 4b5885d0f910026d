import { IgnoredMessages, type Rejections } from '@silo/events/authentication.ts';
import { subscribeBroadcasts } from '@silo/events/broadcast.ts';
import type { MessageKeys } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Log } from '@silo/runtime/log.ts';
import { Acknowledger } from './acknowledger.ts';
import { BroadcastKeys } from './broadcast-keys.ts';
import type { Reading } from './core/fence.ts';
import type { GuardAction, GuardInput } from './core/messages.ts';
import { sources } from './core/position.ts';
import type { GuardLinks } from './links.ts';
import { guardEvent } from './logs.ts';

/** A guard's messages on NATS, and the keys that authenticate them. */
export class GuardMessages implements Disposable {
  readonly broadcastKeys = new BroadcastKeys();
  readonly #acknowledger: Acknowledger;
  readonly #ignored: IgnoredMessages;
  readonly #subscription: Disposable;

  /** Passes on authentic batches and possible gaps, until it is disposed of. */
  constructor(
    links: Pick<GuardLinks, 'nats' | 'subjectPrefix'>,
    log: Log,
    pass: (input: GuardInput) => void,
  ) {
    this.#acknowledger = new Acknowledger(links);
    this.#ignored = new IgnoredMessages(log);
    this.#subscription = subscribeBroadcasts(links.nats, {
      subjectPrefix: links.subjectPrefix,
      services: sources,
      onBatch: (source, { events, head }) => {
        const batch = events.map((event) => guardEvent(source, event));
        pass({ kind: 'batch', source, head, events: batch });
      },
      onMalformed: (source) => pass({ kind: 'missed', source }),
      onLive: () => pass({ kind: 'missed' }),
      findSecret: (keyId) => this.broadcastKeys.find(keyId),
      onIgnored: (subject, reason) => this.#ignored.add(subject, reason),
      log,
    });
  }

  /** The number of messages ignored so far because they were not authentic, by reason. */
  get ignored(): Rejections {
    return this.#ignored.counts;
  }

  /** Takes the keys that came with a lease, in the answer to a call that was sent at `sent`. */
  useKeys(leaseId: string, keys: MessageKeys | undefined, sent: Reading): void {
    if (keys === undefined) return;
    this.broadcastKeys.replace(keys.broadcastKeys, sent);
    this.#acknowledger.useSecret(leaseId, keys.acknowledgementSecret, sent);
  }

  acknowledge(action: Extract<GuardAction, { kind: 'acknowledge' }>): void {
    this.#acknowledger.acknowledge(action);
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }
}
