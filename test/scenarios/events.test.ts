import { randomUUID } from 'node:crypto';
import * as eventMessages from '@silo/protos/gen/silo/events/v1/events.ts';
import { secretPattern } from '@silo/tokens/secrets.ts';
import { eventually } from '../harness/eventually.ts';
import { mutations } from './mutations.ts';
import { find, type ReceivedMessage, subscribe } from './received-events.ts';
import {
  choosePlan,
  createOrganization,
  createProject,
  moveProject,
  present,
  scenarios,
} from './support.ts';

const test = scenarios();

/**
 * The message of each event, by the list in the design, within one region; events of migrations are
 * in migration-events.test.ts.
 */
const messageOf: Record<string, string> = {
  'org.account_created': 'AccountCreated',
  'org.account_updated': 'AccountUpdated',
  'org.organization_created': 'OrganizationCreated',
  'org.organization_updated': 'OrganizationUpdated',
  'org.organization_deleted': 'OrganizationDeleted',
  'org.member_added': 'MemberAdded',
  'org.member_updated': 'MemberUpdated',
  'org.member_removed': 'MemberRemoved',
  'org.invite_created': 'InviteCreated',
  'org.invite_deleted': 'InviteDeleted',
  'org.invite_accepted': 'InviteAccepted',
  'project.created': 'ProjectCreated',
  'project.updated': 'ProjectUpdated',
  'project.moved': 'ProjectMoved',
  'project.move_finalized': 'MoveFinalized',
  'project.deleted': 'ProjectDeleted',
  'project.undeleted': 'ProjectUndeleted',
  'project.events_deleted': 'EventsDeleted',
  'project.slots_changed': 'SlotsChanged',
  'token.created': 'TokenCreated',
  'token.revoked': 'TokenRevoked',
  'token.key_created': 'ApiKeyCreated',
  'token.key_updated': 'ApiKeyUpdated',
  'token.key_revoked': 'ApiKeyRevoked',
  'billing.subscription_created': 'SubscriptionCreated',
  'billing.billing_details_updated': 'BillingDetailsUpdated',
  'billing.plan_changed': 'PlanChanged',
};

type Codec = { fromJSON(json: unknown): object; toJSON(message: never): unknown };

test('a subscriber receives ProjectMoved, with the documented headers and a complete body', async (t) => {
  const { silo } = t.context;
  await using listening = await subscribe(silo);
  const { api, account, organization } = await silo.signUp();
  await choosePlan(api, organization.id);
  const { id: projectId } = await createProject(api, organization.id, { name: 'Moving' });
  const { organizationId } = await createOrganization(api);
  await choosePlan(api, organizationId);
  const { move } = await moveProject(api, projectId, organizationId);
  const subject = `${silo.natsSubjectPrefix}.project.moved.${projectId}`;
  const { headers, body } = await eventually(() => find(listening.received, subject));
  const { time, revision, ...rest } = body;
  t.deepEqual(rest, {
    projectId,
    oldOrganizationId: organization.id,
    newOrganizationId: organizationId,
    moveId: present(move).id,
    projectCount: 1,
    name: 'Moving',
    actor: account.id,
  });
  t.is(new Date(String(time)).getTime(), present(present(move).moveTime).getTime());
  t.is(revision, 2);
  const { 'ce-id': id = '', 'ce-sequence': sequence, 'ce-correlationid': call } = headers;
  t.like(headers, {
    'Nats-Msg-Id': id,
    'ce-specversion': '1.0',
    'ce-type': 'internal.silo.project.moved.v1',
    'ce-source': '/silo/us/project',
    'ce-subject': projectId,
    'ce-time': String(headers['ce-time']),
    'ce-datacontenttype': 'application/json',
    'ce-authid': account.id,
  });
  t.regex(sequence ?? '', /^[0-9]{20}$/);
  t.not(id, '');
  t.not(call ?? '', '');
  t.is(Date.parse(headers['ce-time'] ?? ''), new Date(String(time)).getTime());
});

test('a subscriber receives TokenRevoked, with fingerprints and never the token', async (t) => {
  const { silo } = t.context;
  await using listening = await subscribe(silo);
  const { api, account, organization, projectId, projectToken } = await silo.signUp();
  const before = await api.projectTokens.getProjectToken({ projectId });
  const after = await api.projectTokens.regenerateProjectToken({
    projectId,
    expectedFingerprint: '',
    requestId: '',
  });
  const subject = `${silo.natsSubjectPrefix}.token.revoked.${projectId}`;
  const { headers, body } = await eventually(() => find(listening.received, subject));
  const { time, revision, ...rest } = body;
  t.deepEqual(rest, {
    projectId,
    organizationId: organization.id,
    fingerprint: before.projectToken?.fingerprint,
    newFingerprint: after.projectToken?.fingerprint,
    actor: account.id,
  });
  t.is(headers['ce-type'], 'internal.silo.token.revoked.v1');
  t.is(typeof revision, 'number');
  t.false(Number.isNaN(Date.parse(String(time))));
  const everything = JSON.stringify(listening.received);
  t.false(everything.includes(projectToken));
  t.false(everything.includes(after.projectToken?.token ?? 'x'));
});

test('events that end access have what a cache of project tokens needs: moved, deleted, revoked', async (t) => {
  const { silo } = t.context;
  await using listening = await subscribe(silo);
  const { api, organization, projectId } = await silo.signUp();
  const { project } = await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  const subject = `${silo.natsSubjectPrefix}.project.deleted.${projectId}`;
  const { body } = await eventually(() => find(listening.received, subject));
  t.like(body, { projectId, organizationId: organization.id, name: 'Default Project' });
  const purgeTime = new Date(String(body.purgeTime));
  t.deepEqual(purgeTime, present(project?.purgeTime));
});

test('every event has the documented subject, headers and body, in order, and contains no secret', async (t) => {
  const { silo } = t.context;
  await using listening = await subscribe(silo);
  for (const { prepare } of Object.values(mutations)) {
    const { call } = await prepare(silo);
    await call(randomUUID());
  }
  const { received } = listening;
  const prefix = `${silo.natsSubjectPrefix}.`;
  const nameOf = ({ subject }: ReceivedMessage) =>
    subject.slice(prefix.length).split('.').slice(0, 2).join('.');
  const names = () => new Set(received.map(nameOf));
  await eventually(() => {
    const missing = Object.keys(messageOf).filter((name) => !names().has(name));
    if (missing.length > 0) throw new Error(`not received yet: ${missing}`);
  });
  t.deepEqual([...names()].sort(), Object.keys(messageOf).sort());
  const last: Record<string, number> = {};
  for (const message of received) {
    const { subject, headers, body } = message;
    const [service = '', event = '', id = ''] = subject.slice(prefix.length).split('.');
    t.is(headers['ce-type'], `internal.silo.${service}.${event}.v1`);
    t.is(headers['ce-source'], `/silo/us/${service}`);
    t.is(headers['ce-subject'], id);
    t.is(headers['ce-authid'], String(body.actor));
    t.true(Number.isInteger(body.revision), `${subject} has a revision`);
    t.true(Object.values(body).includes(id), `${subject} names its subject`);
    const sequence = Number(headers['ce-sequence']);
    t.is(sequence, (last[service] ?? sequence - 1) + 1, `${service}: without gaps`);
    last[service] = sequence;
    const name = messageOf[`${service}.${event}`] ?? '';
    const codec = (eventMessages as unknown as Record<string, Codec>)[name];
    t.deepEqual(codec?.toJSON(codec.fromJSON(body) as never), body, `${subject} is a ${name}`);
    const text = JSON.stringify(message);
    t.notRegex(text, new RegExp(secretPattern), subject);
    t.false(text.includes('@'), `${subject} contains no e-mail`);
  }
});
