import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../harness/eventually.ts';
import { startTestSilo } from '../harness/silo.ts';
import { documentedMetrics } from '../observability/documented-metrics.ts';
import { scrape } from '../observability/scrape.ts';
import { send } from './edge-support.ts';
import { scenarios } from './support.ts';

const test = scenarios(() => startTestSilo({ servesMetrics: true }));

test('docs/metrics.md lists the metrics of every process, and no others', async (t) => {
  const { silo } = t.context;
  const edge = await silo.startEdge();
  const { api, account, organization, projectId, projectToken, apiKey } = await silo.signUp();
  const body = { api_key: projectToken, event: 'seen', distinct_id: 'ada', uuid: randomUUID() };
  t.is((await send(`${edge}/e/`, { body: JSON.stringify(body) })).status, 200);
  // Ends access, so the call waits for the guards.
  const unconditional = { projectId, expectedFingerprint: '', requestId: '' };
  await api.projectTokens.regenerateProjectToken(unconditional);
  t.is((await send(`${edge}/e/`, { body: JSON.stringify(body) })).status, 401);

  const page = await readFile(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
  const documented = documentedMetrics(page);
  // Metrics of loops appear after their first run.
  const { texts, scraped } = await eventually(async () => {
    const read = async (url: string) => await (await fetch(url)).text();
    const texts = await Promise.all(silo.metricsUrls.map(read));
    const scraped = scrape(texts);
    assert.deepEqual([...documented.keys()].sort(), [...scraped.keys()].sort());
    for (const [name, { samples }] of scraped) {
      const hasLabels = documented.get(name)?.labels.length !== 0;
      assert.ok(hasLabels || samples > 0, `${name} has no sample`);
    }
    return { texts, scraped };
  });
  t.is(texts.length, 5);
  t.deepEqual([...documented.keys()].sort(), [...scraped.keys()].sort());
  for (const [name, { type, labels, samples }] of scraped) {
    const row = documented.get(name);
    t.is(row?.type, type, name);
    for (const label of labels) t.true(row?.labels.includes(label), `${name} has ${label}`);
    // A metric with labels gets samples when the labelled events occur.
    if (row?.labels.length === 0) t.true(samples > 0, `${name} has a sample`);
  }

  const secrets = [projectToken, apiKey, account.email, account.id, organization.id, projectId];
  for (const secret of secrets) {
    t.false(
      texts.some((text) => text.includes(secret)),
      'no metric contains an id or a secret',
    );
  }
});
