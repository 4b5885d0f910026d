import { isUtf8 } from 'node:buffer';
import type { Snapshot } from './snapshot.ts';
import type { Streamed } from './stream.ts';
import { Findings, type Violation } from './violation.ts';

const secret = /(?:phx|ivc)_[0-9A-Za-z]{49}/;
const projectToken = /phc_[0-9A-Za-z]{49}/;
const requestId = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/i;

/**
 * Fields that may contain a UUID that is not a request id: a process's name, SDKs' properties of
 * events, and e-mails.
 */
const processName = /(^|\.)owner$/;
const sentProperties = 'project.captured_events, properties';
// A local part has at most 64 characters (RFC 5321, section 4.5.3.1.1).
const email = /[\w.+-]{1,64}@[\w.-]+/g;

/**
 * Checks that no API key, invite code or request id is stored anywhere, and no project token is in
 * an event.
 */
export function checkSecrets({ logs }: Snapshot, streamed: readonly Streamed[]): Violation[] {
  const findings = new Findings();
  for (const { service, collections } of Object.values(logs)) {
    for (const [collection, documents] of collections) {
      const place = `${service}.${collection}`;
      for (const document of documents) {
        for (const [path, text] of textsOf(document, '')) check(findings, place, path, text);
      }
    }
  }
  for (const { headers, body, subject } of streamed) {
    check(findings, 'stream.events', subject, `${headers}\n${body}`);
  }
  return findings.violations;
}

function check(findings: Findings, place: string, path: string, text: string): void {
  const where = `${place}, ${path}`;
  findings.expect(!secret.test(text), 'no secret is stored or published', where);
  const isEvent = /\.(events|outbox)$/.test(place);
  findings.expect(!isEvent || !projectToken.test(text), 'no project token is published', where);
  findings.expect(
    processName.test(path) ||
      where === sentProperties ||
      !requestId.test(text.replaceAll(email, '')),
    'no request id is stored or published',
    where,
  );
}

/** Every text in a value, with its path; bytes are read as text, too. */
function* textsOf(value: unknown, path: string): Generator<[string, string]> {
  if (typeof value === 'string') yield [path, value];
  else if (Buffer.isBuffer(value)) {
    yield [path, value.toString(isUtf8(value) ? 'utf8' : 'latin1')];
  } else if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    for (const [key, inner] of Object.entries(value)) {
      yield* textsOf(inner, path === '' ? key : `${path}.${key}`);
    }
  }
}
