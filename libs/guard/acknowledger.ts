import { publishAcknowledgement } from '@silo/events/acknowledgements.ts';
import type { GuardAction } from './core/messages.ts';
import type { GuardLinks } from './links.ts';
import { toLogPositions } from './wire.ts';

type Acknowledge = Extract<GuardAction, { kind: 'acknowledge' }>;

/** Tells the registry what is acknowledged: of several in a turn the last, which says it all. */
export class Acknowledger {
  readonly #links: Pick<GuardLinks, 'nats' | 'subjectPrefix'>;
  #last: Acknowledge | undefined;

  constructor(links: Pick<GuardLinks, 'nats' | 'subjectPrefix'>) {
    this.#links = links;
  }

  acknowledge(action: Acknowledge): void {
    if (this.#last === undefined) setImmediate(() => this.#publish());
    this.#last = action;
  }

  #publish(): void {
    const last = this.#last;
    this.#last = undefined;
    if (last === undefined) return;
    const { leaseId, guardName } = last;
    const positions = toLogPositions(last.positions);
    const { nats, subjectPrefix } = this.#links;
    publishAcknowledgement(nats, subjectPrefix, { leaseId, guardName, positions });
  }
}
