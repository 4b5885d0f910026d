import type { DescMessage, DescMethod } from '@bufbuild/protobuf';
import { Caller } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { authorizationOf, loadImage, siloMethods } from '@silo/protos/image.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import type { PublicApi, SignedUp } from './clients.ts';
import { type IdRequest, requestsByKind } from './id-requests.ts';

const image = loadImage();

/** Fields whose names end in `id` and that name no resource of Silo. */
const otherIds = new Map([
  ['request_id', 'names a call'],
  ['distinct_id', 'names a user of the customer’s product'],
  ['tax_id', 'is a number of the tax office'],
]);

const apiKeys = '/silo.token.v1.ApiKeyService';
const migrations = '/silo.project.v1.MigrationService';
const ignored = 'is ignored in requests';
const dormant = 'is stored without a look-up: a restriction to something without access is dormant';
const ofOtherRegion = 'is of another region, which describes it to every caller who has the id';

/** Fields with ids that are not tried, and the reasons. */
const exceptions: Record<string, string> = {
  '/silo.org.v1.AccountService/UpdateAccount account.id': ignored,
  '/silo.project.v1.ProjectService/UpdateProject project.organization_id': ignored,
  [`${apiKeys}/CreateApiKey api_key.id`]: ignored,
  [`${apiKeys}/CreateApiKey api_key.account_id`]: ignored,
  [`${apiKeys}/CreateApiKey api_key.organization_ids`]: dormant,
  [`${apiKeys}/CreateApiKey api_key.project_ids`]: dormant,
  [`${apiKeys}/UpdateApiKey api_key.account_id`]: ignored,
  [`${apiKeys}/UpdateApiKey api_key.organization_ids`]: dormant,
  [`${apiKeys}/UpdateApiKey api_key.project_ids`]: dormant,
  [`${migrations}/PreviewMigration destination_organization_id`]: ofOtherRegion,
  [`${migrations}/RequestMigration destination_organization_id`]: ofOtherRegion,
};

/** The fields of requests that name resources, as `path field`. */
function idFields(): string[] {
  // Certificates of the deployment may see everything.
  const isOfCertificates = (method: DescMethod) =>
    authorizationOf(image, method)?.caller === Caller.CALLER_CERTIFICATE;
  return siloMethods(image)
    .filter(({ method }) => !isOfCertificates(method))
    .flatMap(({ path, method }) => idFieldsOf(method.input).map((field) => `${path} ${field}`));
}

function idFieldsOf({ fields }: DescMessage): string[] {
  return fields.flatMap(({ name, message }) => {
    if (message !== undefined) return idFieldsOf(message).map((inner) => `${name}.${inner}`);
    return /(^|_)ids?$/.test(name) && !otherIds.has(name) ? [name] : [];
  });
}

/** The fields in which the requests send the id that they are called with, as `path field`. */
async function triedFields(requests: readonly IdRequest[]): Promise<Set<string>> {
  const tried = new Set<string>();
  for (const request of requests) {
    const id = newId('prj');
    const send = (name: string, message: object) => {
      const { path, method } = publicMethod(name);
      for (const field of fieldsWith(method.input, message, id)) tried.add(`${path} ${field}`);
    };
    await request(recordingApi(send), id, own);
  }
  return tried;
}

/** The method that a client calls by this name. */
function publicMethod(localName: string): { path: string; method: DescMethod } {
  const found = siloMethods(image).filter(
    ({ path, method }) => method.localName === localName && !path.includes('.internal.'),
  );
  const [only] = found;
  if (only === undefined || found.length > 1) {
    throw new Error(`${found.length} public methods are called ${localName}`);
  }
  return only;
}

function fieldsWith({ fields }: DescMessage, sent: object, id: string): string[] {
  return fields.flatMap(({ name, localName, message }) => {
    const value: unknown = Reflect.get(sent, localName);
    if (message !== undefined && typeof value === 'object' && value !== null) {
      return fieldsWith(message, value, id).map((inner) => `${name}.${inner}`);
    }
    return value === id || (Array.isArray(value) && value.includes(id)) ? [name] : [];
  });
}

const own: SignedUp = JSON.parse(
  '{"account":{"id":"a"},"organization":{"id":"o"},"projectId":"p"}',
);

/** A public API that sends nothing, and reports each method and request. */
function recordingApi(send: (name: string, request: object) => void): PublicApi {
  const client = new Proxy(
    {},
    {
      get: (_, name) => (request: object) => {
        send(String(name), request);
        // As the answer of a unary call, and as one of a stream without messages.
        return (async function* () {})();
      },
    },
  );
  return new Proxy({}, { get: () => client }) as PublicApi;
}

async function missing(requests: Record<string, Record<string, IdRequest>>): Promise<string[]> {
  const tried = await triedFields(Object.values(requests).flatMap(Object.values));
  return idFields().filter((field) => !tried.has(field) && !(field in exceptions));
}

test('for each field that names a resource, a request tries hidden and absent ones', async (t) => {
  t.deepEqual(await missing(requestsByKind), []);
});

test('a field that no request tries is found', async (t) => {
  const { moves, ...others } = requestsByKind;
  const service = '/silo.project.v1.ProjectService';
  const names = ['FinalizeMove', 'GetMove', 'UndoMove'];
  t.true(Object.keys(moves).length > 0);
  t.deepEqual(
    await missing(others),
    names.map((name) => `${service}/${name} move_id`),
  );
});

test('each exception is for a field that exists and is not tried', async (t) => {
  const tried = await triedFields(Object.values(requestsByKind).flatMap(Object.values));
  const fields = idFields();
  for (const field of Object.keys(exceptions)) {
    t.true(fields.includes(field), field);
    t.false(tried.has(field), field);
  }
});
