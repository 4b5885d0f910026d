import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DescMessage, toBinary } from '@bufbuild/protobuf';
import { fetchWheel } from '@silo/embedded/downloads.ts';
import { unzipAll } from '@silo/embedded/unzip.ts';
import { decodeBody, eventMessages, eventNamed } from '@silo/log/decode-event.ts';
import { BillingServiceService } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { AccountServiceService } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { ActivityServiceService } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import { OrganizationServiceService } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { EventServiceService } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { MigrationServiceService } from '@silo/protos/gen/silo/project/v1/migration_service.ts';
import { ProjectServiceService } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { ApiKeyServiceService } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { ProjectTokenServiceService } from '@silo/protos/gen/silo/token/v1/project_token_service.ts';
import { findMethod, loadImage, siloMethods } from '@silo/protos/image.ts';
import { toJson } from '@silo/protos/json.ts';
import test, { type ExecutionContext } from 'ava';
import { sampleOf } from './samples.ts';

const services = [
  ...[AccountServiceService, ActivityServiceService, OrganizationServiceService],
  ...[ProjectServiceService, EventServiceService, MigrationServiceService],
  ...[ApiKeyServiceService, ProjectTokenServiceService],
  BillingServiceService,
];

type Sample = { type: string; json: unknown; bytes: string };

/** The stub of a message, which converts bytes to what `silo` prints. */
type Stub = { decode(bytes: Buffer): unknown; encode(message: unknown): Buffer };

/** Every request and response of the public API, as `--json` would print it. */
function samples(): Sample[] {
  const image = loadImage();
  const methods = services.flatMap((service) => Object.values(service));
  return methods.flatMap(({ path, ...stubs }) => {
    const method = findMethod(image, path);
    if (method === undefined) throw new TypeError(`the image does not hold ${path}`);
    const request = {
      decode: stubs.requestDeserialize,
      encode: stubs.requestSerialize as Stub['encode'],
    };
    const response = {
      decode: stubs.responseDeserialize,
      encode: stubs.responseSerialize as Stub['encode'],
    };
    return [...printed(method.input, request), ...printed(method.output, response)];
  });
}

function printed(schema: DescMessage, { decode, encode }: Stub): Sample[] {
  return [false, true].flatMap((unknownEnums) =>
    [0, 1].map((member) => {
      const bytes = Buffer.from(toBinary(schema, sampleOf(schema, { member, unknownEnums })));
      const codec = {
        $type: schema.typeName,
        encode: (message: unknown) => ({ finish: () => encode(message) }),
      };
      const json = toJson(codec, decode(bytes));
      return { type: schema.typeName, json, bytes: bytes.toString('base64') };
    }),
  );
}

/** The bodies of the released events, as they are on NATS. */
function releasedBodies(): Sample[] {
  const directory = new URL('../../libs/events/test/golden/', import.meta.url);
  return readdirSync(directory).map((file) => {
    const { headers, body } = JSON.parse(readFileSync(new URL(file, directory), 'utf8'));
    const name = eventNamed(headers['ce-type']);
    if (name === undefined) throw new TypeError(`${file} holds no known event`);
    const message: { $type: string; encode(body: never): { finish(): Uint8Array } } =
      eventMessages[name];
    const bytes = Buffer.from(message.encode(decodeBody(name, body) as never).finish());
    return { type: message.$type, json: JSON.parse(body), bytes: bytes.toString('base64') };
  });
}

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const image = fileURLToPath(import.meta.resolve('@silo/protos/gen/image.binpb'));

/** Runs a reader in another language with all samples, and asserts that it reads each the same. */
async function readAlike(
  t: ExecutionContext,
  command: string,
  args: string[],
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  const all = [...samples(), ...releasedBodies()];
  const run = Promise.withResolvers<string>();
  const options = {
    ...{ cwd: here('.'), env: { ...process.env, ...environment }, timeout: 600_000 },
  };
  const child = execFile(command, [...args, image], options, (error, stdout, stderr) => {
    if (error) run.reject(new Error(stderr || error.message));
    else run.resolve(stdout);
  });
  child.stdin?.end(all.map((each) => `${JSON.stringify(each)}\n`).join(''));
  t.is((await run.promise).trim(), String(all.length));
}

function runs(command: string, args: string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 60_000 }, (error) => resolve(error === null));
  });
}

async function temporary(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'silo-json-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('all public methods have samples', (t) => {
  const isPublic = (path: string) => path.startsWith('/silo.') && !path.includes('.internal.');
  const paths = siloMethods(loadImage()).map(({ path }) => path);
  const sampled = services.flatMap((service) => Object.values(service).map(({ path }) => path));
  t.deepEqual(sampled.sort(), paths.filter(isPublic).sort());
});

test('Python reads what --json prints, and released event bodies, as the same messages', async (t) => {
  const directory = await temporary(t);
  const wheel = await fetchWheel('protobuf==6.33.6', { directory, environment: process.env });
  const packages = join(directory, 'packages');
  await mkdir(packages);
  await unzipAll(wheel, packages);
  await readAlike(t, 'python3', [here('parse.py')], { PYTHONPATH: packages });
});

test('Go reads what --json prints, and released event bodies, as the same messages', async (t) => {
  if (await runs('go', ['version'])) {
    await readAlike(t, 'go', ['run', '.'], { GOFLAGS: '-mod=readonly' });
  } else {
    t.pass('there is no Go here');
  }
});
