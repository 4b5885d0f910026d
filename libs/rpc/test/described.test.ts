import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { create, createFileRegistry, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import {
  HealthCheckResponse_ServingStatus,
  HealthClient,
} from '@silo/protos/gen/grpc/health/v1/health.ts';
import {
  ServerReflectionClient,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '@silo/protos/gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionClient as AlphaClient } from '@silo/protos/gen/grpc/reflection/v1alpha/reflection.ts';
import { authorizationOf, findMethod, loadCommentedImage, loadImage } from '@silo/protos/image.ts';
import test, { type ExecutionContext } from 'ava';
import { connect, type RpcChannel } from '../client.ts';
import { describeFiles, encodeFile } from '../described-files.ts';
import { openPorts } from '../service.ts';
import {
  accountService,
  activityService,
  channelTo,
  eventLogService,
  factService,
  keptLog,
  makeAuthority,
  region,
  ruledAccess,
} from './support.ts';

/** A request without fields, as gRPC frames it. */
const emptyMessage = Buffer.alloc(5);

/** A generous deadline, because a busy machine is not a failure. */
const patient = { refusals: true, deadlineMs: 60_000 };

type Question = NonNullable<ServerReflectionRequest['messageRequest']>;
type Reply = NonNullable<ServerReflectionResponse['messageResponse']>;
const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus;

async function start(t: ExecutionContext) {
  const tls = await (await makeAuthority(t))('service', 'org');
  const ports = await openPorts({
    tls,
    region,
    access: ruledAccess(),
    log: keptLog().log,
    public: { address: 'localhost:0', services: [accountService(), activityService()] },
    internal: { address: 'localhost:0', services: [factService(), eventLogService()] },
  });
  t.teardown(() => ports.drain(0));
  const outer = channelTo(t, ports.publicAddress, { ca: tls.ca });
  const inner = channelTo(t, ports.internalAddress, tls);
  return { ports, outer, inner, ca: tls.ca };
}

/** Sends all requests on one stream, and returns the responses when all have arrived. */
function reflect(
  { address, credentials, channel }: RpcChannel,
  questions: Question[],
  Client: typeof ServerReflectionClient | typeof AlphaClient = ServerReflectionClient,
): Promise<Reply[]> {
  const client = new Client(address, credentials, { channelOverride: channel });
  return new Promise((resolve, reject) => {
    const replies: Reply[] = [];
    const stream = client.serverReflectionInfo();
    stream.on('data', ({ messageResponse }: ServerReflectionResponse) => {
      if (messageResponse !== undefined) replies.push(messageResponse);
    });
    stream.on('error', reject);
    stream.on('end', () => resolve(replies));
    for (const messageRequest of questions) stream.write({ host: '', messageRequest });
    stream.end();
  });
}

function filesOf(reply: Reply | undefined): FileRegistry {
  if (reply?.$case !== 'fileDescriptorResponse') throw new TypeError(JSON.stringify(reply));
  const received = reply.value.fileDescriptorProto.map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  );
  // `createFileRegistry` needs imports first; reflection returns the requested file first.
  const file = new Set<(typeof received)[number]>();
  const add = (name: string) => {
    const found = received.find((one) => one.name === name);
    if (found === undefined) throw new TypeError(`${name} is imported, but was not sent`);
    for (const dependency of found.dependency) add(dependency);
    file.add(found);
  };
  for (const { name } of received) add(name);
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...file] }));
}

function errorCodeOf(reply: Reply | undefined): number | undefined {
  return reply?.$case === 'errorResponse' ? reply.value.errorCode : undefined;
}

test('a port lists the services that it serves, and no others, in v1 and v1alpha', async (t) => {
  const { outer, inner } = await start(t);
  const common = [
    'grpc.health.v1.Health',
    'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection',
  ];
  const listed = async (channel: RpcChannel, client?: typeof AlphaClient) => {
    const [reply] = await reflect(channel, [{ $case: 'listServices', value: '*' }], client);
    if (reply?.$case !== 'listServicesResponse') throw new TypeError('no list');
    return reply.value.service.map(({ name }) => name);
  };
  const outside = [...common, 'silo.org.v1.AccountService', 'silo.org.v1.ActivityService'];
  t.deepEqual(await listed(outer), outside);
  t.deepEqual(await listed(outer, AlphaClient), outside);
  const inside = ['silo.events.internal.v1.EventLogService', 'silo.org.internal.v1.FactService'];
  t.deepEqual(await listed(inner), [...common, ...inside]);
});

test('a described file comes with all that it imports, its comments and its options', async (t) => {
  const { outer } = await start(t);
  const question: Question = {
    $case: 'fileContainingSymbol',
    value: 'silo.org.v1.AccountService.GetAccount',
  };
  const [reply] = await reflect(outer, [question]);
  const types = filesOf(reply); // throws where an import is missing
  const method = findMethod({ ...loadImage(), types }, '/silo.org.v1.AccountService/GetAccount');
  t.is(method && authorizationOf({ ...loadImage(), types }, method)?.scope, 'account:read');
  const file = [...types.files].find(({ name }) => name === 'silo/org/v1/account_service');
  const comments = file?.proto.sourceCodeInfo?.location.map(
    ({ leadingComments }) => leadingComments,
  );
  t.true(
    comments?.some((text) => text?.includes('Returns the account that the API key belongs to')),
  );
});

test('files are found by name, symbol and extension; error details are always included', async (t) => {
  const { outer } = await start(t);
  const replies = await reflect(outer, [
    { $case: 'fileByFilename', value: 'silo/org/v1/account_service.proto' },
    { $case: 'fileByFilename', value: 'google/rpc/error_details.proto' },
    { $case: 'fileContainingSymbol', value: 'google.rpc.ErrorInfo' },
    { $case: 'fileContainingSymbol', value: 'silo.common.v1.ErrorReason' },
    { $case: 'fileContainingSymbol', value: 'silo.org.v1.Account.email' },
    { $case: 'fileContainingSymbol', value: 'google.protobuf.Timestamp' },
    {
      $case: 'fileContainingExtension',
      value: { containingType: 'google.protobuf.MethodOptions', extensionNumber: 50001 },
    },
  ]);
  t.deepEqual(
    replies.map(({ $case }) => $case),
    replies.map(() => 'fileDescriptorResponse'),
  );
  const [numbers] = await reflect(outer, [
    { $case: 'allExtensionNumbersOfType', value: 'google.protobuf.MethodOptions' },
  ]);
  t.deepEqual(
    numbers?.$case === 'allExtensionNumbersResponse' && numbers.value.extensionNumber,
    [50001],
  );
});

test('a public port reveals no internal file, symbol or service', async (t) => {
  const { outer, inner } = await start(t);
  const questions: Question[] = [];
  for (const { proto, services, messages } of loadImage().types.files) {
    if (!proto.package.includes('.internal.')) continue;
    questions.push({ $case: 'fileByFilename', value: proto.name });
    for (const { typeName } of [...services, ...messages]) {
      questions.push({ $case: 'fileContainingSymbol', value: typeName });
    }
  }
  t.true(questions.length > 10);
  for (const reply of await reflect(outer, questions)) t.is(errorCodeOf(reply), status.NOT_FOUND);
  const everything = loadImage().types.files;
  const all = await reflect(
    outer,
    Array.from(
      everything,
      ({ proto }) => ({ $case: 'fileByFilename', value: proto.name }) as const,
    ),
  );
  for (const reply of all) {
    if (reply.$case !== 'fileDescriptorResponse') continue;
    for (const bytes of reply.value.fileDescriptorProto) {
      t.notRegex(fromBinary(FileDescriptorProtoSchema, bytes).package, /\.internal\./);
    }
  }
  const [found] = await reflect(inner, [
    { $case: 'fileContainingSymbol', value: 'silo.org.internal.v1.FactService' },
  ]);
  t.is(found?.$case, 'fileDescriptorResponse');
});

test('an unknown name is NOT_FOUND, and the stream continues', async (t) => {
  const { outer } = await start(t);
  const replies = await reflect(outer, [
    { $case: 'fileByFilename', value: 'no/such.proto' },
    { $case: 'fileContainingSymbol', value: 'no.Such' },
    { $case: 'allExtensionNumbersOfType', value: 'no.Such' },
    { $case: 'fileContainingExtension', value: { containingType: 'a.B', extensionNumber: 1 } },
    { $case: 'listServices', value: '' },
  ]);
  t.deepEqual(replies.map(errorCodeOf), [5, 5, 5, 5, undefined]);
});

test('health reports the state that the service sets, on both ports, for the server and each service', async (t) => {
  const { outer, inner, ports } = await start(t);
  const open = connect(HealthClient, outer, patient);
  const closed = connect(HealthClient, inner, patient);
  t.is((await open.check({ service: '' })).status, NOT_SERVING);
  ports.setServing(true);
  t.is((await open.check({ service: '' })).status, SERVING);
  t.is((await open.check({ service: 'silo.org.v1.AccountService' })).status, SERVING);
  t.is((await closed.check({ service: '' })).status, SERVING);
  const { statuses } = await closed.list({});
  t.is(statuses['silo.org.internal.v1.FactService']?.status, SERVING);
  await t.throwsAsync(open.check({ service: 'silo.org.internal.v1.FactService' }), {
    message: /Unknown service/,
  });
});

test('the health of NATS has a name of its own and does not affect other names', async (t) => {
  const { outer, ports } = await start(t);
  const health = connect(HealthClient, outer, patient);
  ports.setServing(true);
  t.is((await health.check({ service: 'silo.nats' })).status, NOT_SERVING);
  ports.setHealth('silo.nats', true);
  t.is((await health.check({ service: 'silo.nats' })).status, SERVING);
  ports.setHealth('silo.nats', false);
  t.is((await health.check({ service: '' })).status, SERVING);
});

test('a health watch reports every change, and NOT_SERVING for good when the server drains', async (t) => {
  const { outer, ports } = await start(t);
  const health = connect(HealthClient, outer, { refusals: true });
  const received: number[] = [];
  const watching = (async () => {
    for await (const { status: now } of health.watch({ service: '' })) {
      received.push(now);
      if (received.length === 1) ports.setServing(true);
      if (received.length === 2) void ports.drain(1_000).then(() => ports.setServing(true));
    }
  })();
  await t.throwsAsync(watching);
  t.deepEqual(received, [NOT_SERVING, SERVING, NOT_SERVING]);
});

test('a drain closes the connection of a client whose stream stays open', async (t) => {
  const { ports, ca } = await start(t);
  const session = connectHttp2(`https://${ports.publicAddress}`, { ca: await readFile(ca) });
  t.teardown(() => session.destroy());
  let pings = 0;
  session.on('ping', () => pings++);
  const watch = session.request({
    ...{ ':method': 'POST', ':path': '/grpc.health.v1.Health/Watch' },
    ...{ 'content-type': 'application/grpc', te: 'trailers' },
  });
  watch.on('error', () => {});
  watch.end(emptyMessage);
  await once(watch, 'data');
  const closed = once(session, 'close');
  await ports.drain(0);
  await closed;
  // If there were pings, the server's keepalive would have closed it after 30 s.
  t.is(pings, 0);
});

test('a file is encoded once, however many reflection streams request it', (t) => {
  const files = describeFiles(loadCommentedImage(), ['silo.org.v1.AccountService']);
  const file = files.bySymbol('silo.org.v1.AccountService');
  if (file === undefined) return t.fail('the image lacks a service');
  t.is(encodeFile(file), encodeFile(file));
});
