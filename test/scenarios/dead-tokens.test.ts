import { randomUUID } from 'node:crypto';
import { fingerprintOf, hashOf, newProjectToken } from '@silo/tokens/secrets.ts';
import type { PublicApi } from '../harness/clients.ts';
import { eventually } from '../harness/eventually.ts';
import { refused } from '../harness/refusals.ts';
import type { TestSilo } from '../harness/silo.ts';
import { present, scenarios } from './support.ts';

const test = scenarios();

const event = () => ({
  ...{ uuid: randomUUID(), name: 'seen', distinctId: 'ada' },
  ...{ timestamp: '', properties: '' },
});

function capture(silo: TestSilo, token: string) {
  return silo.as(token).events.captureEvents({ events: [event()], superProperties: '' });
}

/** The report, once it contains this number of refused calls. */
async function reported(api: PublicApi, projectId: string, calls: number) {
  return await eventually(async () => {
    const { uses } = await api.events.deadTokenReport({ projectId });
    const count = uses.reduce((sum, use) => sum + (use.count ?? 0), 0);
    if (count !== calls) throw new Error(`${count} of ${calls} calls are reported`);
    return uses;
  });
}

test('the report names the senders with a revoked token, only for the own project', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const { api, projectId, projectToken: old } = ada;
  await capture(silo, old);
  const { projectToken } = await api.projectTokens.regenerateProjectToken({
    ...{ projectId, expectedFingerprint: '', requestId: '' },
  });
  await capture(silo, present(projectToken).token);
  const since = Date.now();
  for (let call = 0; call < 3; call++) await refused(t, capture(silo, old), 'TOKEN_INVALID');
  await refused(t, capture(silo, newProjectToken()), 'TOKEN_INVALID');
  const [use, ...rest] = await reported(api, projectId, 3);
  t.deepEqual(rest, []);
  t.like(use, { fingerprint: fingerprintOf(hashOf(old)), origin: '', count: 3 });
  t.regex(use?.library ?? '', /grpc/);
  t.true((use?.lastUseTime?.getTime() ?? 0) >= since - 1);
  await refused(t, eve.api.events.deadTokenReport({ projectId }), 'PROJECT_NOT_FOUND');
  for (const token of [old, present(projectToken).token]) {
    await refused(t, silo.as(token).events.deadTokenReport({ projectId }), 'TOKEN_INVALID');
  }
  t.deepEqual((await eve.api.events.deadTokenReport({ projectId: eve.projectId })).uses, []);
});

test('the token of a deleted project is reported to its last owners', async (t) => {
  const { silo } = t.context;
  const [ada, eve] = [await silo.signUp('Ada'), await silo.signUp('Eve')];
  const { api, projectId, projectToken } = ada;
  await api.projects.deleteProject({ projectId, etag: '', requestId: '' });
  await refused(t, capture(silo, projectToken), 'TOKEN_INVALID');
  const [use] = await reported(api, projectId, 1);
  t.is(use?.fingerprint, fingerprintOf(hashOf(projectToken)));
  await refused(t, eve.api.events.deadTokenReport({ projectId }), 'PROJECT_NOT_FOUND');
});
