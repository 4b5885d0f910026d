import type { LogService } from '@silo/mongo/event-log.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { NatsLink } from './connect.ts';
import { placedBy, serviceSubjects } from './envelope.ts';
import { hear } from './hearing.ts';

/** An event as it is heard at once; nothing promises that it is. */
export type HeardEvent = {
  sequence: number;
  incarnation: string;
  /** `ce-type`, such as `internal.silo.project.moved.v1`. */
  type: string;
  /** Proto3 JSON. */
  bodyJson: string;
};

/**
 * Hears the events of these services by plain subscription, until disposed of. `onUnclear` is told
 * of a message that does not say which event it is.
 */
export function hearEvents<Service extends LogService>(
  nats: NatsLink,
  options: {
    subjectPrefix: string;
    services: readonly Service[];
    onEvent(service: Service, event: HeardEvent): void;
    onUnclear(service: Service): void;
    /** From now on events are heard; those before may have been missed. */
    onLive(): void;
    log: Log;
  },
): Disposable {
  const { subjectPrefix, services, onEvent, onUnclear, onLive, log } = options;
  const serviceOf = new Map(
    services.map((service) => [serviceSubjects({ service, subjectPrefix }), service]),
  );
  return hear(nats, {
    subjects: [...serviceOf.keys()],
    onLive,
    log,
    onMessage: (message, subject) => {
      const service = serviceOf.get(subject);
      if (service === undefined) return;
      const placed = placedBy((name) => message.header(name));
      const type = message.header('ce-type');
      if (placed === undefined || placed.incarnation === '' || type === undefined) {
        onUnclear(service);
        return;
      }
      const { sequence, incarnation } = placed;
      onEvent(service, { sequence, incarnation, type, bodyJson: message.text() });
    },
  });
}
