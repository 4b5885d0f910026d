import { Acknowledgement } from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Log } from '@silo/runtime/log.ts';
import {
  type FindSecret,
  type MessageKey,
  openMessage,
  type RejectionReason,
  sealMessage,
} from './authentication.ts';
import type { NatsLink } from './connect.ts';
import { hear } from './hearing.ts';

/** Where guards tell what they have acknowledged: outside of the stream, which would keep it. */
function acknowledgementSubject(subjectPrefix: string): string {
  return `acknowledged.${subjectPrefix}`;
}

/**
 * Tells the registry at once, with the key of the lease; where that is lost, the guard's next
 * renewal says the same.
 */
export function publishAcknowledgement(
  nats: NatsLink,
  subjectPrefix: string,
  key: MessageKey,
  acknowledgement: Acknowledgement,
): void {
  const subject = acknowledgementSubject(subjectPrefix);
  const payload = Acknowledgement.encode(acknowledgement).finish();
  nats.publish(subject, sealMessage(key, subject, payload));
}

/**
 * Hears what guards tell, until disposed of. A message that is not authentic, or speaks for another
 * lease than the one whose key it carries, is ignored: `onIgnored` counts it.
 */
export function hearAcknowledgements(
  nats: NatsLink,
  options: {
    subjectPrefix: string;
    onHeard(acknowledgement: Acknowledgement): void;
    /** By lease id. */
    findSecret: FindSecret;
    onIgnored(subject: string, reason: RejectionReason): void;
    log: Log;
  },
): Disposable {
  const { subjectPrefix, onHeard, findSecret, onIgnored, log } = options;
  return hear(nats, {
    subjects: [acknowledgementSubject(subjectPrefix)],
    log,
    onMessage: (bytes, subject) => {
      const opened = openMessage(subject, bytes, findSecret);
      if (typeof opened === 'string') return onIgnored(subject, opened);
      const acknowledgement = decode(opened.payload);
      if (acknowledgement?.leaseId === opened.keyId) onHeard(acknowledgement);
      else onIgnored(subject, 'malformed');
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
