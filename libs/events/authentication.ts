import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { AuthenticatedMessage } from '@silo/protos/gen/silo/events/internal/v1/authenticated_message.ts';
import type { Log } from '@silo/runtime/log.ts';

/** A key that authenticates messages on core NATS. */
export type MessageKey = { id: string; secret: KeyObject };

/** Finds the secret of a key id; undefined if it is unknown, or may not be used any more. */
export type FindSecret = (keyId: string) => KeyObject | undefined;

/**
 * Why a message is ignored; or, for the registry, why a position in an authentic message or call is
 * impossible: past the source's log, or acknowledged past the applied position.
 */
export const rejectionReasons = [
  'malformed',
  'unknown_key',
  'wrong_mac',
  'beyond_log',
  'beyond_applied',
] as const;
export type RejectionReason = (typeof rejectionReasons)[number];
export type Rejections = Readonly<Record<RejectionReason, number>>;

const macSizeBytes = 32;
/**
 * Ids of keys and leases are ULIDs. Longer ids are not looked up, because secrets may be cached by
 * id.
 */
const keyIdLengthMax = 64;
const separator = Buffer.of(0);
const logIntervalMs = 60_000;

/** A key from its bytes. */
export function messageKey(id: string, secret: Uint8Array): MessageKey {
  return { id, secret: createSecretKey(secret) };
}

/** A payload in its envelope, authenticated for this subject only. */
export function sealMessage(key: MessageKey, subject: string, payload: Uint8Array): Uint8Array {
  const mac = macOf(key.secret, subject, payload);
  const message = {
    keyId: key.id,
    payload: Buffer.from(payload.buffer, payload.byteOffset, payload.length),
    mac,
  };
  return AuthenticatedMessage.encode(message).finish();
}

/** The payload of an authentic message, or why it is ignored. */
export function openMessage(
  subject: string,
  bytes: Uint8Array,
  findSecret: FindSecret,
): { keyId: string; payload: Uint8Array } | RejectionReason {
  const message = decode(bytes);
  if (message?.mac.length !== macSizeBytes) return 'malformed';
  if (message.keyId.length > keyIdLengthMax) return 'malformed';
  const { keyId, payload, mac } = message;
  const secret = findSecret(keyId);
  if (secret === undefined) return 'unknown_key';
  return timingSafeEqual(mac, macOf(secret, subject, payload)) ? { keyId, payload } : 'wrong_mac';
}

function macOf(secret: KeyObject, subject: string, payload: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(subject).update(separator).update(payload).digest();
}

function decode(bytes: Uint8Array): AuthenticatedMessage | undefined {
  try {
    return AuthenticatedMessage.decode(bytes);
  } catch {
    return undefined;
  }
}

function noRejections(): Record<RejectionReason, number> {
  return { malformed: 0, unknown_key: 0, wrong_mac: 0, beyond_log: 0, beyond_applied: 0 };
}

/** Counts ignored messages, and logs at most one a minute for each reason. */
export class IgnoredMessages {
  readonly #log: Log;
  readonly #counts = noRejections();
  readonly #loggedMs = new Map<RejectionReason, number>();

  constructor(log: Log) {
    this.#log = log;
  }

  get counts(): Rejections {
    return { ...this.#counts };
  }

  /** `from` is the subject of a message, or the caller. */
  add(from: string, reason: RejectionReason): void {
    const ignored = ++this.#counts[reason];
    const nowMs = performance.now();
    if (nowMs - (this.#loggedMs.get(reason) ?? Number.NEGATIVE_INFINITY) < logIntervalMs) return;
    this.#loggedMs.set(reason, nowMs);
    this.#log.warn(
      { from, reason, ignored },
      'ignored an unauthenticated message or an impossible position',
    );
  }
}
