import { randomUUID } from 'node:crypto';
import { fingerprintOf } from '@silo/tokens/secrets.ts';
import { eventually } from '../harness/eventually.ts';
import { send } from './edge-support.ts';
import { allEvents } from './event-requests.ts';
import { present, scenarios } from './support.ts';

const test = scenarios();

function bodyOf(api_key: string) {
  return JSON.stringify({ api_key, event: 'seen', distinct_id: 'ada', uuid: randomUUID() });
}

test('ROLE=edge accepts events while no project service runs, and refuses a revoked token at once', async (t) => {
  const { silo } = t.context;
  const { api, projectId, projectToken } = await silo.signUp();
  const url = await silo.startEdge();
  const post = async (token: string, headers = {}) =>
    (await send(`${url}/e/`, { body: bodyOf(token), headers })).status;
  await silo.stop('project');
  for (let index = 0; index < 10; index++) t.is(await post(projectToken), 200);
  await silo.start('project');
  t.is((await allEvents(api, { projectId })).length, 10);
  const request = { projectId, expectedFingerprint: '', requestId: '' };
  const { projectToken: next } = await api.projectTokens.regenerateProjectToken(request);
  const origin = 'https://app.example.com';
  t.is(await post(projectToken, { origin, 'user-agent': 'posthog-node/5.70.0' }), 401);
  t.is(await post(present(next).token), 200);
  await eventually(async () => {
    const { uses } = await api.events.deadTokenReport({ projectId });
    if (uses.length === 0) throw new Error('nothing is reported');
    t.is(uses.length, 1);
    t.like(uses[0], {
      ...{ fingerprint: fingerprintOf(projectToken), origin },
      ...{ library: 'posthog-node/5.70.0', count: 1 },
    });
  });
});
