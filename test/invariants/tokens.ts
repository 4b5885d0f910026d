import { decodeBody } from '@silo/log/decode-event.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import { fingerprintOf, hashOf } from '@silo/tokens/secrets.ts';
import type { Snapshot } from './snapshot.ts';
import { Findings, type Violation } from './violation.ts';

/**
 * Checks that every project has its one token, and every key its secrets, as in the last events.
 */
export function checkTokens(snapshot: Snapshot): Violation[] {
  const findings = new Findings();
  checkProjectTokens(findings, snapshot);
  checkKeys(findings, snapshot);
  return findings.violations;
}

function checkProjectTokens(findings: Findings, { project, token, logs }: Snapshot): void {
  const emitted = new Map<string, string>();
  for (const { name, body } of logs.token.emitted) {
    if (name === 'token.created') {
      const { projectId, fingerprint } = decodeBody(name, body);
      emitted.set(projectId, fingerprint);
    }
    if (name === 'token.revoked') emitted.delete(decodeBody(name, body).projectId);
  }
  const unfinished = new Set(
    [...logs.org.sagas, ...logs.project.sagas].filter(({ open }) => open).flatMap(projectsOf),
  );
  const current = new Map(token.projects.map((each) => [each._id, each.current]));
  for (const { _id, state } of project.projects) {
    if (state === ProjectState.PROJECT_STATE_DELETED || unfinished.has(_id)) continue;
    findings.expect(current.get(_id) !== undefined, 'every project has a token', _id);
  }
  const known = new Set([
    ...logs.project.emitted
      .filter(({ name }) => name === 'project.created')
      .map((each) => each.subject),
    // The token comes before the project.
    ...project.migrations.map(({ projectId }) => projectId),
  ]);
  // Also those that are purged in the other region, until they are removed here.
  const away = new Set(
    project.projects.filter(({ migratedTo }) => migratedTo !== undefined).map(({ _id }) => _id),
  );
  for (const { _id, current: own } of token.projects) {
    const live = token.projectTokens.filter(({ projectId }) => projectId === _id);
    const isOne =
      own === undefined
        ? live.length === 0
        : live.length === 1 && live[0]?._id.equals(own.hash) && hashOf(own.token).equals(own.hash);
    findings.expect(
      isOne === true,
      'a project’s current token alone is live',
      `${_id}: ${live.length}`,
    );
    // The token of a project that has migrated is revoked here, and kept to forward its captures.
    const isEmitted = emitted.get(_id) === own?.fingerprint || (away.has(_id) && !emitted.has(_id));
    findings.expect(
      isEmitted && (own === undefined || own.fingerprint === fingerprintOf(own.token)),
      'a project’s token is the one of its last event',
      `${_id} has ${own?.fingerprint}, emitted ${emitted.get(_id)}`,
    );
    findings.expect(known.has(_id), 'every token belongs to a project that existed', _id);
  }
  for (const { projectId } of token.projectTokens) {
    findings.expect(
      current.has(projectId),
      'a live token is its project’s current token',
      projectId,
    );
  }
}

function projectsOf({ data }: { data: Record<string, unknown> }): string[] {
  if (typeof data.projectId === 'string') return [data.projectId];
  const projects = Array.isArray(data.projects) ? data.projects : [];
  return projects.map(({ _id }: { _id: string }) => _id);
}

function checkKeys(findings: Findings, { token, org, logs }: Snapshot): void {
  const emitted = new Map<string, Set<string>>();
  for (const { name, body } of logs.token.emitted) {
    if (name === 'token.key_created') {
      const { keyId, fingerprint } = decodeBody(name, body);
      emitted.set(keyId, new Set([fingerprint]));
    }
    if (name === 'token.key_updated') {
      const { keyId, changes } = decodeBody(name, body);
      for (const { field, to } of changes) if (field === 'fingerprint') emitted.get(keyId)?.add(to);
    }
    if (name === 'token.key_revoked') {
      const { keyId, fingerprint, newFingerprint } = decodeBody(name, body);
      emitted.get(keyId)?.delete(fingerprint);
      if (newFingerprint) emitted.get(keyId)?.add(newFingerprint);
    }
  }
  const accounts = new Set(org.accounts.map(({ _id }) => _id));
  for (const { _id, accountId, secrets } of token.keys) {
    const live = token.keySecrets.filter(({ keyId }) => keyId === _id);
    const isWhole =
      secrets.length >= live.length &&
      live.every((each) => secrets.some(({ hash }) => hash.equals(each._id))) &&
      live.some((each) => secrets[0].hash.equals(each._id)) &&
      live.every((each) => each.accountId === accountId);
    findings.expect(isWhole, 'a key’s secrets are its facts', `${_id}: ${live.length}`);
    findings.expect(
      emitted.get(_id)?.has(secrets[0].fingerprint) === true,
      'a key’s secret is that of its last event',
      `${_id} has ${secrets[0].fingerprint}`,
    );
    findings.expect(accounts.has(accountId), 'every key is an account’s', `${_id} of ${accountId}`);
  }
  const stored = new Set(token.keys.map(({ _id }) => _id));
  for (const [keyId, fingerprints] of emitted) {
    findings.expect(
      stored.has(keyId) === fingerprints.size > 0,
      'a key exists until its last secret is revoked',
      keyId,
    );
  }
  for (const { keyId } of token.keySecrets) {
    findings.expect(stored.has(keyId), 'a secret’s fact ends with its key', keyId);
  }
}
