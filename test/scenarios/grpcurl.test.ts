import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { BadRequest, ErrorInfo } from '@silo/protos/gen/google/rpc/error_details.ts';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { certificate } from '../harness/certificates.ts';
import { type Outcome, run } from '../harness/command.ts';
import { untilInTime } from '../harness/eventually.ts';
import { findGoTool, grpcurl } from '../harness/go-tool.ts';
import { startTestSilo, type TestSilo } from '../harness/silo.ts';

// The first build of grpcurl takes a minute or two.
const buf = resolve(import.meta.dirname, '../../node_modules/.bin/buf');

/** The server that the tools call; they get no proto file. */
type Context = { silo: TestSilo; grpcurl: string | undefined };
const test = anyTest as TestFn<Context>;
let silo: TestSilo | undefined;

test.before(async (t) => {
  t.context.grpcurl = await findGoTool(grpcurl, { log: (line) => t.log(line) });
  silo = await startTestSilo();
  t.context.silo = silo;
});

test.after.always(async () => {
  await silo?.[Symbol.asyncDispose]();
});

type Args = {
  address: string;
  staff?: boolean;
  key?: string;
  input?: object;
  /** How long grpcurl tries to connect, in seconds; default 120. */
  patience?: number;
};
type Grpcurl = (args: Args, ...words: string[]) => Promise<Outcome>;

/** A test that uses grpcurl; if there is none, it only logs that. */
function withGrpcurl(
  title: string,
  run: (t: ExecutionContext<Context>, run: Grpcurl) => Promise<void>,
) {
  test(title, async (t) => {
    const { grpcurl } = t.context;
    if (grpcurl === undefined) {
      t.log('the test does nothing: there is no grpcurl');
      t.pass();
    } else {
      await run(t, (args, ...words) => runGrpcurl(grpcurl, args, words));
    }
  });
}

function runGrpcurl(grpcurl: string, args: Args, words: string[]): Promise<Outcome> {
  const { ca, cert, key } = certificate('staff-operator');
  const options = [
    '-cacert',
    ca,
    '-max-time',
    '300',
    '-connect-timeout',
    `${args.patience ?? 120}`,
  ];
  if (args.staff) options.push('-cert', cert, '-key', key);
  if (args.key) options.push('-H', `authorization: Bearer ${args.key}`);
  if (args.input) options.push('-d', '@');
  return runSteadily(grpcurl, [...options, args.address, ...words], JSON.stringify(args.input));
}

function runBuf(args: Args, path: string, ...words: string[]): Promise<Outcome> {
  const { ca, cert, key } = certificate('staff-operator');
  const options = ['curl', '--protocol', 'grpc', '--cacert', ca];
  if (args.staff) options.push('--cert', cert, '--key', key);
  if (args.key) options.push('--header', `authorization: Bearer ${args.key}`);
  if (args.input) options.push('--data', '@-');
  const url = `https://${args.address}${path}`;
  return runSteadily(buf, [...options, ...words, url], JSON.stringify(args.input));
}

/**
 * Repeats the command, with the same request id, if a service on a busy machine did not respond in
 * time.
 */
function runSteadily(command: string, args: string[], input: string): Promise<Outcome> {
  return untilInTime(
    () => run(command, args, input),
    ({ errors }) => /DEPENDENCY_UNAVAILABLE|No response in time/.test(errors),
  );
}

function linesOf({ output }: Outcome): string[] {
  return output.trim().split('\n').toSorted();
}

function newcomer() {
  return {
    email: `ada-${randomUUID()}@example.com`,
    display_name: 'Ada',
    organization_name: 'Example',
    request_id: randomUUID(),
  };
}

const ports = {
  public: [
    'grpc.health.v1.Health',
    'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection',
    'silo.token.v1.ApiKeyService',
    'silo.token.v1.ProjectTokenService',
  ],
  internal: [
    'grpc.health.v1.Health',
    'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection',
    'silo.events.internal.v1.EventLogService',
    'silo.token.internal.v1.AccessService',
    'silo.token.internal.v1.DirectoryService',
    'silo.token.internal.v1.FactService',
    'silo.token.internal.v1.RegistryService',
    'silo.token.internal.v1.SecretService',
    'silo.token.internal.v1.StaffService',
  ],
};

withGrpcurl(
  'grpcurl lists the services of each port, and none of the other port',
  async (t, run) => {
    const { token } = t.context.silo.addresses;
    t.deepEqual(linesOf(await run({ address: token.public }, 'list')), ports.public);
    t.deepEqual(
      linesOf(await run({ address: token.internal, staff: true }, 'list')),
      ports.internal,
    );
  },
);

test('buf curl lists the services of each port, and none of the other port', async (t) => {
  const { token } = t.context.silo.addresses;
  const list = async (args: Args) => linesOf(await runBuf(args, '', '--list-services'));
  t.deepEqual(await list({ address: token.public }), ports.public);
  t.deepEqual(await list({ address: token.internal, staff: true }), ports.internal);
});

test('buf curl lists methods, by either version of reflection', async (t) => {
  const { token } = t.context.silo.addresses;
  for (const version of ['grpc-v1', 'grpc-v1alpha']) {
    const words = ['--list-methods', '--reflect-protocol', version];
    const methods = linesOf(await runBuf({ address: token.public }, '', ...words));
    t.true(methods.includes('silo.token.v1.ProjectTokenService/RegenerateProjectToken'));
    t.false(methods.some((method) => method.includes('internal')));
  }
});

withGrpcurl('grpcurl describes services with their comments and access rules', async (t, run) => {
  const { token } = t.context.silo.addresses;
  const about = async (symbol: string) => {
    const { code, output, errors } = await run({ address: token.public }, 'describe', symbol);
    t.is(code, 0, errors);
    return output;
  };
  const service = await about('silo.token.v1.ProjectTokenService');
  t.regex(service, /service ProjectTokenService \{/);
  t.regex(service, /Replaces a project's token; the old token is rejected/);
  const method = await about('silo.token.v1.ProjectTokenService.RegenerateProjectToken');
  t.regex(method, /silo\.common\.v1\.authorization\)? = /);
  t.regex(method, /scope:\s*"token:write"/);
  t.regex(method, /level:\s*LEVEL_ADMIN/);
});

withGrpcurl('grpcurl describes messages with times, and the details of errors', async (t, run) => {
  const { token } = t.context.silo.addresses;
  const about = async (symbol: string) => {
    const { code, output, errors } = await run({ address: token.public }, 'describe', symbol);
    t.is(code, 0, errors);
    return output;
  };
  const message = await about('silo.token.v1.ApiKey');
  t.regex(message, /\.google\.protobuf\.Timestamp expire_time = 9;/);
  t.regex(message, /Expiry time; absent if the key does not expire\./);
  t.regex(await about('google.protobuf.Timestamp'), /int64 seconds = 1/);
  t.regex(await about('google.rpc.ErrorInfo'), /string reason = 1;/);
  t.regex(await about('google.rpc.BadRequest'), /field_violations = 1;/);
  t.regex(await about('silo.common.v1.ErrorReason'), /ERROR_REASON_PROJECT_LIMIT = 22;/);
});

withGrpcurl('grpcurl signs up and reads the account, with reflection only', async (t, run) => {
  const { public: address } = t.context.silo.addresses.org;
  const input = newcomer();
  const created = await run({ address, input }, 'silo.org.v1.AccountService/CreateAccount');
  t.is(created.code, 0, created.errors);
  const answer = JSON.parse(created.output);
  t.is(answer.account.email, input.email);
  t.regex(answer.account.createTime, /^\d{4}-\d\d-\d\dT.*Z$/);
  const key = answer.apiKey;
  const read = await run({ address, key }, 'silo.org.v1.AccountService/GetAccount');
  t.is(read.code, 0, read.errors);
  t.deepEqual(JSON.parse(read.output).account, answer.account);
});

test('buf curl signs up and reads the account, with reflection only', async (t) => {
  const { public: address } = t.context.silo.addresses.org;
  const input = newcomer();
  const created = await runBuf({ address, input }, '/silo.org.v1.AccountService/CreateAccount');
  t.is(created.code, 0, created.errors);
  const answer = JSON.parse(created.output);
  t.is(answer.account.email, input.email);
  const request = { address, key: answer.apiKey, input: {} };
  const read = await runBuf(request, '/silo.org.v1.AccountService/GetAccount');
  t.is(read.code, 0, read.errors);
  t.deepEqual(JSON.parse(read.output).account, answer.account);
});

withGrpcurl('grpcurl prints the details of an error decoded', async (t, run) => {
  const { public: address } = t.context.silo.addresses.org;
  const input = { ...newcomer(), email: 'not an e-mail' };
  const { code, errors } = await run(
    { address, input },
    'silo.org.v1.AccountService/CreateAccount',
  );
  t.not(code, 0);
  t.regex(errors, /Code: InvalidArgument/);
  t.regex(errors, /"@type": "type\.googleapis\.com\/google\.rpc\.ErrorInfo"/);
  t.regex(errors, /"reason": "INVALID_FIELD"/);
  t.regex(errors, /"domain": "silo\.internal"/);
  t.regex(errors, /"@type": "type\.googleapis\.com\/google\.rpc\.BadRequest"/);
  t.regex(errors, /"field": "email"/);
});

test('buf curl prints the details of an error, as bytes', async (t) => {
  const { public: address } = t.context.silo.addresses.org;
  const input = { ...newcomer(), email: 'not an e-mail' };
  const request = { address, input };
  const { code, errors } = await runBuf(request, '/silo.org.v1.AccountService/CreateAccount');
  t.not(code, 0);
  const { code: name, details } = JSON.parse(errors);
  t.is(name, 'invalid_argument');
  const detail = (type: string) => {
    const found = details.find((each: { type: string }) => each.type === type);
    return Buffer.from(found.value, 'base64');
  };
  const info = ErrorInfo.decode(detail('google.rpc.ErrorInfo'));
  t.like(info, { reason: 'INVALID_FIELD', domain: 'silo.internal' });
  const { fieldViolations } = BadRequest.decode(detail('google.rpc.BadRequest'));
  t.deepEqual(
    fieldViolations.map(({ field }) => field),
    ['email'],
  );
});

withGrpcurl('no public port describes an internal symbol', async (t, run) => {
  const symbols = [
    'silo.token.internal.v1.AccessService',
    'silo.token.internal.v1.VerifyTokenRequest',
    'silo.org.internal.v1.StaffService',
    'silo.project.internal.v1.SlotService',
    'silo.billing.internal.v1.SubscriptionService',
    'silo.events.internal.v1.EventLogService',
  ];
  for (const { public: address } of Object.values(t.context.silo.addresses)) {
    for (const symbol of symbols) {
      const { code, output, errors } = await run({ address }, 'describe', symbol);
      t.not(code, 0);
      t.is(output, '');
      t.regex(errors, /Symbol not found/);
    }
  }
});

withGrpcurl('the internal port serves only clients with a certificate', async (t, run) => {
  const { internal } = t.context.silo.addresses.token;
  const { code, output } = await run({ address: internal, patience: 2 }, 'list');
  t.not(code, 0);
  t.is(output, '');
  const verify = 'silo.token.internal.v1.AccessService/VerifyToken';
  const request = { address: internal, staff: true, input: { token: 'phc_nonsense' } };
  const answer = await run(request, verify);
  t.is(answer.code, 0, answer.errors);
  t.is(JSON.parse(answer.output).refusal.reason, 'ERROR_REASON_TOKEN_INVALID');
});

test('without grpcurl, Go and pip the tests log one line, but fail in CI', async (t) => {
  const cacheDirectory = await mkdtemp(join(tmpdir(), 'silo-grpcurl-'));
  t.teardown(() => rm(cacheDirectory, { recursive: true, force: true }));
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const environment = { PATH: cacheDirectory };
  t.is(await findGoTool(grpcurl, { log, cacheDirectory, environment }), undefined);
  t.regex(lines.at(-1) ?? '', /^passed over, for want of grpcurl: [^\n]+$/);
  const inCi = findGoTool(grpcurl, {
    log,
    cacheDirectory,
    environment: { ...environment, CI: 'true' },
  });
  await t.throwsAsync(inCi, { message: /no usable grpcurl was found/ });
});
