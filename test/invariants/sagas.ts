import type { Document } from 'mongodb';
import type { Snapshot } from './snapshot.ts';
import { Findings, type Violation } from './violation.ts';

/** Checks that every finished saga has had each of its effects, exactly once. */
export function checkSagas(snapshot: Snapshot): Violation[] {
  const findings = new Findings();
  const { logs } = snapshot;
  const count = (
    service: 'org' | 'project' | 'token' | 'billing',
    name: string,
    subject: unknown,
  ) =>
    logs[service].emitted.filter((each) => each.name === name && each.subject === subject).length;
  const once = (saga: { _id: string; kind: string }, name: string, subject: unknown) => {
    const [service] = name.split('.') as ['org' | 'project' | 'token' | 'billing'];
    const times = count(service, name, subject);
    findings.expect(
      times === 1,
      'a finished saga has had each of its effects once',
      `${saga.kind} ${saga._id}: ${name} of ${subject} ${times} times`,
    );
  };
  for (const saga of logs.org.sagas) {
    const { kind, state, data } = saga;
    if (state !== 'done') continue;
    if (kind === 'create-account' || kind === 'create-organization') {
      once(saga, 'org.organization_created', data.organizationId);
      once(saga, 'billing.subscription_created', data.organizationId);
      once(saga, 'project.created', data.projectId);
      findings.expect(
        count('token', 'token.created', data.projectId) >= 1,
        'a finished saga has had each of its effects once',
        `${kind} ${saga._id}: no token of ${data.projectId}`,
      );
    }
    if (kind === 'create-account') {
      once(saga, 'org.account_created', data.accountId);
      once(saga, 'token.key_created', data.keyId);
    }
    if (kind === 'delete-organization') once(saga, 'org.organization_deleted', data.organizationId);
  }
  for (const saga of logs.project.sagas.filter(({ state }) => state === 'done')) {
    for (const { _id } of (saga.data.projects ?? []) as Document[]) {
      once(saga, 'project.created', _id);
      findings.expect(
        count('token', 'token.created', _id) >= 1,
        'a finished saga has had each of its effects once',
        `${saga.kind} ${saga._id}: no token of ${_id}`,
      );
    }
  }
  checkBegun(findings, snapshot);
  return findings.violations;
}

/** Checks that every decision has its saga: each founding of an organization is finished. */
function checkBegun(findings: Findings, { logs, org }: Snapshot): void {
  const begun = new Set(logs.org.sagas.map(({ data }) => data.organizationId));
  for (const { _id } of org.organizations) {
    findings.expect(begun.has(_id), 'an organization is founded by a saga', _id);
  }
  const founded = new Set(logs.org.sagas.map(({ data }) => data.accountId));
  for (const { _id } of org.accounts) {
    findings.expect(founded.has(_id), 'an account is founded by a saga', _id);
  }
}
