import { getOption, type Message } from '@bufbuild/protobuf';
import { UpdateBillingDetailsRequest } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { InviteMemberRequest } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { CreateProjectRequest } from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { CreateApiKeyRequest } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { loadImage } from '@silo/protos/image.ts';
import { newId } from '@silo/tokens/ids.ts';
import test from 'ava';
import { patternText } from '../rule-text.ts';
import { compileShape, shapeValidator } from '../validate.ts';

const image = loadImage();
const [organizationId, requestId] = [newId('org_us'), '00000000-0000-4000-8000-000000000000'];
const project = { organizationId, name: 'Web', requestId: '' };
const billingDetails = {
  ...{ companyName: 'Acme', email: 'ada@example.com', address: 'Here 1', countryCode: 'DE' },
  taxId: '',
};

type Codec<Value> = {
  decode(bytes: Uint8Array): unknown;
  encode(value: Value): { finish(): Uint8Array };
  fromPartial(value: never): Value;
};

function wrongIn<Value>(typeName: string, codec: Codec<Value>, request: object) {
  const input = image.types.getMessage(typeName);
  if (input === undefined) throw new Error(`there is no ${typeName}`);
  const readShape = compileShape(image, shapeValidator(image), input, {
    decode: (bytes) => codec.decode(bytes),
    encodeRequest: (value) => Buffer.from(codec.encode(value as Value).finish()),
  });
  const value = codec.fromPartial(request as never);
  const { violations = [] } = readShape(Buffer.from(codec.encode(value).finish()));
  return violations.map(({ field, description }) => `${field}: ${description}`);
}

function inProject(given: object): string[] {
  const request = { ...project, ...given };
  return wrongIn('silo.project.v1.CreateProjectRequest', CreateProjectRequest, request);
}

function inDetails(given: object): string[] {
  const request = { organizationId, billingDetails: { ...billingDetails, ...given } };
  const type = 'silo.billing.v1.UpdateBillingDetailsRequest';
  return wrongIn(type, UpdateBillingDetailsRequest, request);
}

function inKey(apiKey: object): string[] {
  const request = { apiKey, requestId };
  return wrongIn('silo.token.v1.CreateApiKeyRequest', CreateApiKeyRequest, request);
}

test('a text that does not match a pattern gets a description with a valid example', (t) => {
  t.deepEqual(inDetails({ countryCode: 'Germany' }), [
    'billing_details.country_code: must be two capital letters, such as DE',
  ]);
  t.deepEqual(inProject({ organizationId: 'acme' }), [
    'organization_id: must be an id that begins with org_REGION_',
  ]);
  t.deepEqual(inKey({ name: 'ci', scopes: ['project'] }), [
    'api_key.scopes[0]: must be a scope, such as project:read, or * for all',
  ]);
});

test('if many rules are broken, a hundred are described', (t) => {
  const found = inKey({ name: 'ci', scopes: Array.from({ length: 5_000 }, () => 'project') });
  t.is(found.length, 100);
  t.is(new Set(found).size, 100);
});

test('an origin that breaks several rules is described once', (t) => {
  t.deepEqual(inProject({ settings: { appUrls: ['notaurl'] } }), [
    'settings.app_urls[0]: must be an origin, such as https://app.example.com',
  ]);
});

test('a required value that is empty is described as missing', (t) => {
  t.deepEqual(inProject({ name: '' }), ['name: is missing']);
  t.deepEqual(inDetails({ email: '', address: '' }), [
    'billing_details.email: is missing',
    'billing_details.address: is missing',
  ]);
  t.deepEqual(wrongIn('silo.token.v1.CreateApiKeyRequest', CreateApiKeyRequest, { requestId }), [
    'api_key: is missing',
  ]);
  const invite = { organizationId, email: 'ada@example.com', requestId };
  t.deepEqual(wrongIn('silo.org.v1.InviteMemberRequest', InviteMemberRequest, invite), [
    'level: is missing',
  ]);
  t.deepEqual(inKey({}), ['api_key: needs a name', 'api_key: needs at least one scope']);
});

/** Every pattern in the rules of a field, at any depth. */
function patternsIn(rules: unknown): string[] {
  if (typeof rules !== 'object' || rules === null) return [];
  return Object.entries(rules).flatMap(([name, value]) =>
    name === 'pattern' && typeof value === 'string' && value !== '' ? [value] : patternsIn(value),
  );
}

test('every pattern in the protos has a description', (t) => {
  const extension = image.types.getExtension('buf.validate.field');
  const messages = [...image.types].filter(
    (type) => type.kind === 'message' && type.typeName.startsWith('silo.'),
  );
  const patterns = messages.flatMap((type) =>
    type.kind !== 'message' || extension === undefined
      ? []
      : type.fields.flatMap((field) => patternsIn(getOption(field, extension) as Message)),
  );
  t.true(patterns.length > 100, `${patterns.length} patterns`);
  t.deepEqual([...new Set(patterns.filter((pattern) => patternText(pattern) === undefined))], []);
});
