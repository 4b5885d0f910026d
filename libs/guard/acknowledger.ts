import { publishAcknowledgement } from '@silo/events/acknowledgements.ts';
import { type MessageKey, messageKey } from '@silo/events/authentication.ts';
import type { Reading } from './core/fence.ts';
import type { GuardAction } from './core/messages.ts';
import type { GuardLinks } from './links.ts';
import { toLogPositions } from './wire.ts';

type Acknowledge = Extract<GuardAction, { kind: 'acknowledge' }>;

/**
 * Sends acknowledgements to the registry. In one turn of the event loop it sends only the last one,
 * which covers the others.
 */
export class Acknowledger {
  readonly #links: Pick<GuardLinks, 'nats' | 'subjectPrefix'>;
  #key: MessageKey | undefined;
  #sentMs = Number.NEGATIVE_INFINITY;
  #last: Acknowledge | undefined;

  constructor(links: Pick<GuardLinks, 'nats' | 'subjectPrefix'>) {
    this.#links = links;
  }

  /**
   * Sets the secret that authenticates acknowledgements of this lease. It came in the answer to a
   * call that was sent at `sent`; the secret from the answer to a later call is kept.
   */
  useSecret(leaseId: string, secret: Uint8Array, sent: Reading): void {
    if (sent.monotonicMs < this.#sentMs) return;
    this.#sentMs = sent.monotonicMs;
    if (this.#key?.id !== leaseId) this.#key = messageKey(leaseId, secret);
  }

  acknowledge(action: Acknowledge): void {
    if (this.#last === undefined) setImmediate(() => this.#publish());
    this.#last = action;
  }

  #publish(): void {
    const last = this.#last;
    this.#last = undefined;
    // Without the lease's key, the next renewal acknowledges instead.
    if (last === undefined || this.#key?.id !== last.leaseId) return;
    const { leaseId, guardName } = last;
    const { nats, subjectPrefix } = this.#links;
    publishAcknowledgement(nats, subjectPrefix, this.#key, {
      ...{ leaseId, guardName },
      positions: toLogPositions(last.positions),
      applied: toLogPositions(last.applied),
    });
  }
}
