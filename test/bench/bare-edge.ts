/**
 * A bare fastify server in a separate process. `/batch` unpacks a body, parses it and inserts its
 * events as documents like those of captured events; `/refused` answers 401 without reading the
 * body. Sends its parent its URL; ends with it.
 */
import { randomUUID } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { fastify } from 'fastify';
import { Binary } from 'mongodb';
import { BareEvents, type StoredEvent } from './captured.ts';

/** `projectIds` by their tokens. The collection exists already, with its indexes. */
export type BareEdgeOptions = {
  mongodb: string;
  database: string;
  projectIds: Readonly<Record<string, string>>;
};

type SentEvent = {
  event: string;
  distinct_id: string;
  uuid?: string;
  timestamp?: string;
  properties: Record<string, unknown>;
};

const bodyBytesMax = 20 * 1024 * 1024;
const { mongodb, database, projectIds }: BareEdgeOptions = JSON.parse(process.argv[2] ?? '');
const events = await BareEvents.open(mongodb, database);
const app = fastify({ bodyLimit: bodyBytesMax });
app.removeAllContentTypeParsers();
app.register(async (scope) => {
  const parseAs = 'buffer' as const;
  scope.addContentTypeParser('*', { parseAs }, (_request, body, done) => done(null, body));
  scope.post<{ Body: Buffer }>('/batch', async ({ body }) => {
    const { api_key, batch } = JSON.parse(gunzipSync(body).toString());
    const project = projectIds[api_key] ?? '';
    const receiveTime = new Date();
    await events.insert(batch.map((event: SentEvent) => documentOf(project, event, receiveTime)));
    return { status: 1 };
  });
});
app.register(async (scope) => {
  scope.addContentTypeParser('*', (_request, _body, done) => done(null, undefined));
  scope.post('/refused', async (_request, reply) => reply.code(401).send({ status: 0 }));
});

function documentOf(project: string, sent: SentEvent, receiveTime: Date): StoredEvent {
  const { properties, uuid = randomUUID() } = sent;
  const id = new Binary(Buffer.from(uuid.replaceAll('-', ''), 'hex'), Binary.SUBTYPE_UUID);
  return {
    _id: { project, uuid: id },
    ...{
      time: sent.timestamp ? new Date(sent.timestamp) : receiveTime,
      name: sent.event,
      distinctId: sent.distinct_id,
    },
    ...{ receiveTime, properties: Buffer.from(JSON.stringify(properties)) },
    ...{ x0: properties.$host, x1: properties.$current_url },
  };
}

process.once('disconnect', () => process.exit());
process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }));
