/**
 * Bare grpc-js over TLS, in a separate process: `find` answers `QueryEvents` with the events of a
 * bare find, `bytes` answers with stored bytes of such an answer. Sends its parent their addresses;
 * ends with it.
 */
import { type MethodDefinition, Server, type sendUnaryData } from '@grpc/grpc-js';
import {
  EventServiceService,
  type QueryEventsRequest,
  QueryEventsResponse,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { serverCredentials, type TlsFiles } from '@silo/rpc/tls.ts';
import { BareEvents, newestByHost, type StoredEvent } from './captured.ts';

/** `database` contains the events of `projectId`, among others. */
export type BareQueryOptions = {
  tls: TlsFiles;
  mongodb: string;
  database: string;
  projectId: string;
  pageSize: number;
};

/** `host:port` of each. */
export type BareQueryAddresses = { find: string; bytes: string };

const { queryEvents } = EventServiceService;
const { tls, mongodb, database, projectId, pageSize }: BareQueryOptions = JSON.parse(
  process.argv[2] ?? '',
);
const { collection } = await BareEvents.open(mongodb, database);

async function answerOf(project: string): Promise<QueryEventsResponse> {
  const found = await newestByHost(collection, project, pageSize);
  return { events: found.map(eventOf), nextPageToken: '' };
}

function eventOf({ _id, name, distinctId, time, timestamp, receiveTime, properties }: StoredEvent) {
  const uuid = _id.uuid.toString();
  const text = properties.toString('utf8');
  return {
    ...{ uuid, name, distinctId, receiveTime, properties: text },
    timestamp: timestamp ?? time.toISOString(),
  };
}

function serve<Response>(
  method: MethodDefinition<QueryEventsRequest, Response>,
  answer: (request: QueryEventsRequest) => Promise<Response>,
): Promise<string> {
  const server = new Server();
  const handle = (call: { request: QueryEventsRequest }, callback: sendUnaryData<Response>) =>
    void answer(call.request).then(
      (response) => callback(null, response),
      (error: Error) => callback(error),
    );
  server.addService({ method }, { method: handle });
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', serverCredentials(tls, false), (error, port) => {
      if (error === null) resolve(`127.0.0.1:${port}`);
      else reject(error);
    });
  });
}

const bytes = Buffer.from(QueryEventsResponse.encode(await answerOf(projectId)).finish());
const same = { responseSerialize: (given: Buffer) => given, responseDeserialize: () => bytes };
process.once('disconnect', () => process.exit());
process.send?.({
  find: await serve(queryEvents, ({ projectId }) => answerOf(projectId)),
  bytes: await serve({ ...queryEvents, ...same }, async () => bytes),
} satisfies BareQueryAddresses);
