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
import { subscribeSubjects } from './subscribe-subjects.ts';

/** The subject of acknowledgements. It is outside of the stream, which would store the messages. */
function acknowledgementSubject(subjectPrefix: string): string {
  return `acknowledged.${subjectPrefix}`;
}

/**
 * Sends an acknowledgement to the registry, authenticated with the lease's key. If the message is
 * lost, the guard's next renewal carries the same positions.
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
 * Receives acknowledgements until disposed of. Ignores a message that is not authentic, or names
 * another lease than the one whose key it was made with.
 */
export function subscribeAcknowledgements(
  nats: NatsLink,
  options: {
    subjectPrefix: string;
    onAcknowledgement(acknowledgement: Acknowledgement): void;
    /** Finds the secret of a lease by its id. */
    findSecret: FindSecret;
    onIgnored(subject: string, reason: RejectionReason): void;
    log: Log;
  },
): Disposable {
  const { subjectPrefix, onAcknowledgement, findSecret, onIgnored, log } = options;
  return subscribeSubjects(nats, {
    subjects: [acknowledgementSubject(subjectPrefix)],
    log,
    onMessage: (bytes, subject) => {
      const opened = openMessage(subject, bytes, findSecret);
      if (typeof opened === 'string') return onIgnored(subject, opened);
      const acknowledgement = decode(opened.payload);
      if (acknowledgement?.leaseId === opened.keyId) onAcknowledgement(acknowledgement);
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
