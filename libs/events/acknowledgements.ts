import { Acknowledgement } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Log } from '@silo/runtime/log.ts';
import type { NatsLink } from './connect.ts';
import { hear } from './hearing.ts';

/** Where guards tell what they have acknowledged: outside of the stream, which would keep it. */
function acknowledgementSubject(subjectPrefix: string): string {
  return `acknowledged.${subjectPrefix}`;
}

/** Tells the registry at once; where that is lost, the guard's next renewal says the same. */
export function publishAcknowledgement(
  nats: NatsLink,
  subjectPrefix: string,
  acknowledgement: Acknowledgement,
): void {
  const bytes = Acknowledgement.encode(acknowledgement).finish();
  nats.publish(acknowledgementSubject(subjectPrefix), bytes);
}

/** Hears what guards tell, until disposed of. */
export function hearAcknowledgements(
  nats: NatsLink,
  options: {
    subjectPrefix: string;
    onHeard(acknowledgement: Acknowledgement): void;
    log: Log;
  },
): Disposable {
  const { subjectPrefix, onHeard, log } = options;
  return hear(nats, {
    subjects: [acknowledgementSubject(subjectPrefix)],
    log,
    onMessage: (bytes) => {
      const acknowledgement = decode(bytes);
      if (acknowledgement === undefined) log.warn('an acknowledgement does not decode');
      else onHeard(acknowledgement);
    },
  });
}

function decode(bytes: Uint8Array): Acknowledgement | undefined {
  try {
    return Acknowledgement.decode(bytes);
  } catch {
    return undefined;
  }
}
