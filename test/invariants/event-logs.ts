import type { EmittedEvent, ServiceLog, Snapshot } from './snapshot.ts';
import { Findings, type Violation } from './violation.ts';

type Fields = Record<string, unknown>;

/** Checks every log: 1 … N without gaps, each event once, causes before effects. */
export function checkEventLogs(snapshot: Snapshot): Violation[] {
  const findings = new Findings();
  for (const log of Object.values(snapshot.logs)) {
    checkNumbers(findings, log);
    checkOrder(findings, log);
  }
  checkRevisions(findings, snapshot);
  return findings.violations;
}

function checkNumbers(
  findings: Findings,
  { service, sequence, events, emitted }: ServiceLog,
): void {
  // The log is younger than the 90 days for which events are kept, so the first event still exists.
  const gap = events.findIndex(({ _id }, index) => _id !== index + 1);
  findings.expect(
    gap < 0,
    'a log has no gap',
    `${service}: ${events[gap]?._id} is at index ${gap + 1}`,
  );
  findings.expect(
    events.length === sequence,
    'the last sequence of a log equals its counter',
    `${service} has ${events.length} events, counts ${sequence}`,
  );
  const seen = new Set<string>();
  for (const { id } of emitted) {
    findings.expect(!seen.has(id), 'an event has one sequence', `${service}: ${id}`);
    seen.add(id);
  }
}

/** The event that must precede all other events of a resource in a region. */
const beginnings: readonly { begins: RegExp; field: string; others: RegExp }[] = [
  { begins: /^org\.account_created$/, field: 'accountId', others: /^org\.account_/ },
  {
    begins: /^org\.organization_created$/,
    field: 'organizationId',
    others: /^org\.(organization|member|invite)_/,
  },
  { begins: /^org\.invite_created$/, field: 'inviteId', others: /^org\.invite_/ },
  {
    // A project from another region was created there.
    begins: /^project\.(created|migrated)$/,
    field: 'projectId',
    others: /^project\.(updated|moved|deleted)$/,
  },
  { begins: /^token\.created$/, field: 'fingerprint', others: /^token\.revoked$/ },
  { begins: /^token\.key_created$/, field: 'keyId', others: /^token\.key_/ },
  { begins: /^billing\.subscription_created$/, field: 'organizationId', others: /^billing\./ },
];

/** Events that share a revision, and the thing with this revision. */
const counters: readonly { events: RegExp; field: string }[] = [
  { events: /^org\.account_/, field: 'accountId' },
  { events: /^org\.organization_/, field: 'organizationId' },
  { events: /^org\.member_/, field: 'organizationId' },
  { events: /^org\.invite_/, field: 'inviteId' },
  { events: /^project\.(created|updated|moved|deleted)$/, field: 'projectId' },
  { events: /^project\.slots_changed$/, field: 'organizationId' },
  { events: /^token\.(created|revoked)$/, field: 'projectId' },
  { events: /^token\.key_/, field: 'keyId' },
  { events: /^billing\./, field: 'organizationId' },
];

function checkOrder(findings: Findings, { service, emitted }: ServiceLog): void {
  const begun = new Set<string>();
  const revisions = new Map<string, number>();
  for (const each of emitted) {
    const fields = fieldsOf(each);
    const at = `${service} ${each.sequence ?? 'outbox'}, ${each.name}`;
    for (const { begins, field, others } of beginnings) {
      const thing = `${begins.source} ${fields[field]}`;
      if (begins.test(each.name)) begun.add(thing);
      else if (others.test(each.name)) {
        findings.expect(begun.has(thing), 'causes precede effects', `${at}: no ${thing} before`);
      }
    }
    for (const { events, field } of counters) {
      if (!events.test(each.name)) continue;
      const thing = `${events.source} ${fields[field]}`;
      const before = revisions.get(thing) ?? 0;
      const revision = Number(fields.revision);
      findings.expect(
        revision > before,
        'revisions of one thing ascend',
        `${at}: ${revision} after ${before}`,
      );
      revisions.set(thing, revision);
    }
  }
}

/**
 * Every stored revision equals that of the last event about it: there is no change without an
 * event.
 */
function checkRevisions(findings: Findings, { logs, org, token, billing }: Snapshot): void {
  const last = new Map<string, number>();
  for (const { emitted } of Object.values(logs)) {
    for (const each of emitted) {
      for (const { events, field } of counters) {
        if (!events.test(each.name)) continue;
        const fields = fieldsOf(each);
        last.set(`${events.source} ${fields[field]}`, Number(fields.revision));
      }
    }
  }
  const expectLast = (counter: RegExp, id: string, revision: number) => {
    const emitted = last.get(`${counter.source} ${id}`) ?? 0;
    findings.expect(
      emitted === revision,
      'every change is emitted',
      `${id}: revision ${revision}, emitted up to ${emitted}`,
    );
  };
  for (const { _id, revision } of org.accounts) expectLast(/^org\.account_/, _id, revision);
  for (const { _id, revision, memberRevision, deleteTime } of org.organizations) {
    expectLast(/^org\.organization_/, _id, revision);
    // organization_deleted ends all memberships.
    const ended = deleteTime === undefined ? 0 : 1;
    expectLast(/^org\.member_/, _id, memberRevision - ended);
  }
  for (const { _id, revision } of token.projects) {
    expectLast(/^token\.(created|revoked)$/, _id, revision);
  }
  for (const { _id, revision } of token.keys) expectLast(/^token\.key_/, _id, revision);
  for (const { _id, revision, closed } of billing.subscriptions) {
    // The event of org covers the closed slots.
    expectLast(/^billing\./, _id, revision - (closed ? 1 : 0));
  }
}

function fieldsOf({ body }: EmittedEvent): Fields {
  return JSON.parse(body) as Fields;
}
