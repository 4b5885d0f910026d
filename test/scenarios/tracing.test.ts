import { randomBytes, randomUUID } from 'node:crypto';
import { startGuardProcess } from '@silo/guard/test/guard-support.ts';
import { silentLogger } from '@silo/runtime/log.ts';
import { startTracing } from '@silo/service/start-tracing.ts';
import test from 'ava';
import { eventually } from '../harness/eventually.ts';
import { type ExportedSpan, startOtlpReceiver } from '../harness/otlp-receiver.ts';
import { startTestSilo } from '../harness/silo.ts';
import { readStream } from '../invariants/stream.ts';
import { send } from './edge-support.ts';
import { mover } from './move-support.ts';

const moved = 'internal.silo.project.moved.v1';
const moveProject = 'silo.project.v1.ProjectService/MoveProject';
const secret = /(?:phx|phc|ivc)_[0-9A-Za-z]{49}/;

test('one trace leads from MoveProject to the guard of another process, without secrets', async (t) => {
  await using receiver = await startOtlpReceiver(t.log);
  if (receiver === undefined) {
    t.pass();
    return;
  }
  const environment = {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_BSP_SCHEDULE_DELAY: '100',
  };
  Object.assign(process.env, environment);
  const traces = { otelTracesExporter: undefined, otelExporterOtlpTracesEndpoint: undefined };
  await using _tracing = await startTracing(
    'all',
    {
      ...{ region: 'us', otelSdkDisabled: 'false', ...traces },
      otelExporterOtlpEndpoint: receiver.url,
    },
    silentLogger(),
  );
  await using silo = await startTestSilo();
  const edgeUrl = await silo.startEdge();
  const ada = await mover(silo);
  const product = startGuardProcess(t, silo, {
    imports: new URL('./otel-sdk.ts', import.meta.url).href,
    environment: { ...environment, OTEL_SERVICE_NAME: 'product' },
  });
  const { projectToken } = await ada.api.projectTokens.getProjectToken({
    projectId: ada.movingId,
  });
  const { token = '' } = projectToken ?? {};
  await eventually(async () => {
    const answer = await product.verify(token);
    if (answer !== 'true by memory') throw new Error(answer);
  });

  const caller = newTrace();
  const requestId = randomUUID();
  await ada.api.projects.moveProject(
    {
      ...{ projectId: ada.movingId, destinationOrganizationId: ada.destinationId },
      ...{ planFingerprint: '', etag: '', requestId },
    },
    { metadata: { authorization: `Bearer ${ada.apiKey}`, traceparent: caller.traceparent } },
  );
  // The activity log then reads the event.
  await ada.api.activity.listActivity({
    ...{ organizationId: ada.destinationId, projectId: '', pageSize: 0, pageToken: '' },
  });

  const find = (wanted: Partial<ExportedSpan>) => {
    const found = receiver.spans.find(
      (span) =>
        span.traceId === caller.traceId &&
        Object.entries(wanted).every(([key, value]) => span[key as keyof ExportedSpan] === value),
    );
    if (found === undefined) throw new Error(`no span ${JSON.stringify(wanted)}`);
    return found;
  };
  const call = await eventually(() => find({ name: moveProject, parentId: caller.spanId }));
  t.like(call, { service: 'silo-all', kind: 2 });
  t.like(call.attributes, { 'rpc.response.status_code': 'OK', 'silo.actor': ada.account.id });
  const parentId = call.id;
  const barrier = await eventually(() => find({ name: 'revocation barrier', parentId }));
  const awaited = await eventually(() =>
    find({ name: 'silo.token.internal.v1.RegistryService/AwaitBarrier', parentId: barrier.id }),
  );
  await eventually(() => find({ name: awaited.name, kind: 2, parentId: awaited.id }));
  const database = `${silo.databasePrefix}_project`;
  await eventually(() => {
    const commands = receiver.spans.filter(({ traceId, kind, name }) => {
      return traceId === caller.traceId && kind === 3 && name.endsWith(`${database}.projects`);
    });
    if (commands.length === 0) throw new Error('no command on projects');
  });
  const published = await eventually(() => find({ name: `publish ${moved}`, kind: 4, parentId }));
  await eventually(() => find({ name: `broadcast ${moved}`, kind: 4, parentId }));
  await eventually(() => find({ name: `record ${moved}`, kind: 5, parentId }));
  await eventually(() => find({ name: `apply ${moved}`, kind: 5, service: 'product', parentId }));

  const messages = await readStream(silo);
  const message = messages.find(({ subject }) => subject === `project.moved.${ada.movingId}`);
  t.true(message?.headers.includes(`ce-traceparent: 00-${caller.traceId}-${call.id}-01`));
  t.true(message?.headers.includes(`\ntraceparent: 00-${caller.traceId}-${published.id}-01`));

  const sender = newTrace();
  const body = JSON.stringify({ api_key: token, event: 'seen', distinct_id: 'user@example.com' });
  const headers = { 'content-type': 'application/json', traceparent: sender.traceparent };
  t.is((await send(`${edgeUrl}/i/v0/e`, { headers, body })).status, 200);
  await eventually(() => {
    const spans = receiver.spans.filter(({ traceId }) => traceId === sender.traceId);
    if (!spans.some(({ name }) => name === 'POST /i/v0/e')) throw new Error('no span of the edge');
    if (!spans.some(({ name }) => name === 'store events')) throw new Error('no span of storing');
  });

  const exported = receiver.text();
  t.false(secret.test(exported));
  for (const hidden of [requestId, ada.apiKey, ada.projectToken, token, '@example.com']) {
    t.false(exported.includes(hidden));
  }
});

/** A caller's trace. */
function newTrace() {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` };
}
