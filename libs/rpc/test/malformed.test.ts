import { readFileSync } from 'node:fs';
import { connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { ErrorInfo } from '@silo/protos/gen/google/rpc/error_details.ts';
import { Status } from '@silo/protos/gen/google/rpc/status.ts';
import { CreateAccountRequest } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import test, { type ExecutionContext } from 'ava';
import {
  accountService,
  createAccountRequest,
  createAccountResponse,
  fullKey,
  makeAuthority,
  serve,
} from './support.ts';

const createAccount = '/silo.org.v1.AccountService/CreateAccount';
const updateAccount = '/silo.org.v1.AccountService/UpdateAccount';
const check = '/grpc.health.v1.Health/Check';

async function start(t: ExecutionContext) {
  const tls = await (await makeAuthority(t))('service', 'org');
  const handled: string[] = [];
  const services = [
    accountService({
      createAccount: async (_, call) => {
        handled.push(call.method);
        return createAccountResponse;
      },
    }),
  ];
  const server = await serve(t, { tls, internal: false, services });
  const session = connectHttp2(`https://${server.address}`, { ca: readFileSync(tls.ca) });
  t.teardown(() => session.destroy());
  /** Sends one raw message and returns code and reason. */
  const send = (path: string, body: Buffer, headers: OutgoingHttpHeaders = {}, flags = 0) =>
    new Promise<{ code: number; reason: string | undefined }>((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      });
      let seen: Record<string, unknown> = {};
      const note = (more: object) => {
        seen = { ...seen, ...more };
      };
      stream.on('response', note).on('trailers', note).on('error', reject).resume();
      stream.on('close', () => {
        resolve({
          code: Number(seen['grpc-status']),
          reason: reasonIn(seen['grpc-status-details-bin']),
        });
      });
      const prefix = Buffer.alloc(5);
      prefix.writeUInt8(flags, 0);
      prefix.writeUInt32BE(body.length, 1);
      stream.end(Buffer.concat([prefix, body]));
    });
  return { send, handled };
}

function reasonIn(trailer: unknown): string | undefined {
  if (typeof trailer !== 'string') return undefined;
  const [first] = Status.decode(Buffer.from(trailer, 'base64')).details;
  return first && ErrorInfo.decode(first.value).reason;
}

const good = Buffer.from(CreateAccountRequest.encode(createAccountRequest).finish());
const invalid = { code: status.INVALID_ARGUMENT, reason: 'INVALID_FIELD' };

test('a well-formed request sent by hand is served', async (t) => {
  const { send, handled } = await start(t);
  t.like(await send(createAccount, good), { code: status.OK });
  t.deepEqual(handled, [createAccount]);
});

test('bytes that do not decode are INVALID_FIELD and reach no handler', async (t) => {
  const { send, handled } = await start(t);
  const bodies = {
    'an unfinished tag': Buffer.from([0x80]),
    'a field longer than the message': Buffer.from([0x0a, 0x7f, 0x41]),
    'a group that never ends': Buffer.from([0x0b]),
    'another wire type': Buffer.from([0x08, 0x01]),
    'field number 0': Buffer.from([0x02, 0x00]),
    'text that is no UTF-8': Buffer.from([0x0a, 0x02, 0xff, 0xfe]),
    'half of a request': good.subarray(0, good.length - 3),
    'all ones': Buffer.alloc(64, 0xff),
    nothing: Buffer.alloc(0),
  };
  for (const [what, body] of Object.entries(bodies)) {
    t.deepEqual(await send(createAccount, body), invalid, what);
  }
  t.deepEqual(handled, []);
});

test('malformed bytes without a key are TOKEN_INVALID, with one INVALID_FIELD', async (t) => {
  const { send } = await start(t);
  const body = Buffer.from([0x0a, 0x7f, 0x41]);
  t.like(await send(updateAccount, body), { reason: 'TOKEN_INVALID' });
  t.deepEqual(await send(updateAccount, body, { authorization: `Bearer ${fullKey}` }), invalid);
  const both = { authorization: [`Bearer ${fullKey}`, `Bearer ${fullKey}`].join(', ') };
  t.like(await send(updateAccount, body, both), { reason: 'TOKEN_INVALID' });
});

test('a timestamp out of range is INVALID_FIELD', async (t) => {
  const { send } = await start(t);
  // account { create_time { seconds: 2^62 } }, as raw bytes: ts-proto would not encode it.
  const seconds = Buffer.from([0x08, ...Array(8).fill(0x80), 0x40]);
  const time = Buffer.concat([Buffer.from([0x2a, seconds.length]), seconds]);
  const body = Buffer.concat([Buffer.from([0x0a, time.length]), time]);
  const authorization = `Bearer ${fullKey}`;
  t.deepEqual(await send(updateAccount, body, { authorization }), invalid);
});

test('health returns INVALID_ARGUMENT for bytes that do not decode', async (t) => {
  const { send } = await start(t);
  t.like(await send(check, Buffer.from([0x0a, 0x7f])), { code: status.INVALID_ARGUMENT });
});

// Errors of grpc-js 1.14 itself, before any handler: the list that the docs and the design allow.
test('broken compression is a bare INTERNAL of grpc-js and has no effect', async (t) => {
  const { send, handled } = await start(t);
  const headers = { 'grpc-encoding': 'gzip' };
  const broken = gzipSync(good).subarray(0, 12);
  t.deepEqual(await send(createAccount, broken, headers, 1), {
    code: status.INTERNAL,
    reason: undefined,
  });
  t.deepEqual(handled, []);
});

test('a malformed grpc-timeout is a bare INTERNAL of grpc-js and has no effect', async (t) => {
  const { send, handled } = await start(t);
  t.deepEqual(await send(createAccount, good, { 'grpc-timeout': 'soon' }), {
    code: status.INTERNAL,
    reason: undefined,
  });
  t.deepEqual(handled, []);
});

test('an oversized message is INVALID_FIELD and has no effect', async (t) => {
  const { send, handled } = await start(t);
  t.deepEqual(await send(createAccount, Buffer.alloc(4 * 1024 * 1024 + 1, 0x0a)), {
    code: status.INVALID_ARGUMENT,
    reason: 'INVALID_FIELD',
  });
  t.deepEqual(handled, []);
});
