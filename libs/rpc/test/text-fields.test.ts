import type { DescField, DescMessage } from '@bufbuild/protobuf';
import {
  type BillingDetails,
  UpdateBillingDetailsRequest,
} from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { CreateAccountRequest } from '@silo/protos/gen/silo/org/v1/account_service.ts';
import { UpdateOrganizationRequest } from '@silo/protos/gen/silo/org/v1/organization_service.ts';
import { Project, ProjectSettings } from '@silo/protos/gen/silo/project/v1/project.ts';
import {
  CreateProjectRequest,
  UpdateProjectRequest,
} from '@silo/protos/gen/silo/project/v1/project_service.ts';
import { loadImage, siloMethods } from '@silo/protos/image.ts';
import test, { type ExecutionContext } from 'ava';
import { compileShape, type Shaped, shapeValidator } from '../validate.ts';

const image = loadImage();
const id = '0'.repeat(26);
const account = {
  email: 'ada@example.com',
  displayName: 'Ada',
  organizationName: 'Acme',
  requestId: '00000000-0000-4000-8000-000000000000',
};

type Codec<Message> = {
  decode(bytes: Uint8Array): Message;
  encode(message: Message): { finish(): Uint8Array };
};

/** The result of the server's validation of a request. */
function read<Message>(typeName: string, codec: Codec<Message>, message: Message): Shaped {
  const input = image.types.getMessage(typeName);
  if (input === undefined) throw new Error(`there is no ${typeName}`);
  const readShape = compileShape(image, shapeValidator(image), input, {
    decode: (bytes) => codec.decode(bytes),
    encodeRequest: (request) => Buffer.from(codec.encode(request as Message).finish()),
  });
  return readShape(Buffer.from(codec.encode(message).finish()));
}

function createAccount(values: Partial<CreateAccountRequest>): Shaped {
  const request = CreateAccountRequest.fromPartial({ ...account, ...values });
  return read('silo.org.v1.CreateAccountRequest', CreateAccountRequest, request);
}

function refusedFields(t: ExecutionContext, shaped: Shaped, fields: string[]): void {
  t.deepEqual(
    shaped.violations?.map(({ field }) => field),
    fields,
  );
}

test('a handler gets names in the stored form', (t) => {
  const shaped = createAccount({ displayName: ' Ame\u0301lie ', organizationName: 'Caf\u00e9' });
  t.like(shaped.request, { displayName: 'Am\u00e9lie', organizationName: 'Caf\u00e9' });
});

test('the length of a name is measured in the stored form', (t) => {
  const decomposed = 'e\u0301'.repeat(64);
  t.like(createAccount({ displayName: `  ${decomposed} ` }).request, {
    displayName: '\u00e9'.repeat(64),
  });
  refusedFields(t, createAccount({ displayName: 'x'.repeat(65) }), ['display_name']);
});

test('a rejected name is reported by the path of its field', (t) => {
  refusedFields(t, createAccount({ displayName: 'Ada\u202e', organizationName: ' \u200d ' }), [
    'display_name',
    'organization_name',
  ]);
  const project = Project.fromPartial({ id: `prj_${id}`, name: 'a\nb' });
  const update = UpdateProjectRequest.fromPartial({ project, requestId: '' });
  refusedFields(t, read('silo.project.v1.UpdateProjectRequest', UpdateProjectRequest, update), [
    'project.name',
  ]);
});

test('an optional name may be empty, but not blank', (t) => {
  const typeName = 'silo.org.v1.UpdateOrganizationRequest';
  for (const [name, fields] of [
    ['', undefined],
    ['   ', ['organization.name']],
  ] as const) {
    const organization = { id: `org_us_${id}`, name };
    const request = UpdateOrganizationRequest.fromPartial({ organization });
    const { violations } = read(typeName, UpdateOrganizationRequest, request);
    t.deepEqual(
      violations?.map(({ field }) => field),
      fields && [...fields],
    );
  }
});

test('an address may have several lines, a company name only one', (t) => {
  const details: BillingDetails = {
    companyName: 'Example Ltd',
    email: 'billing@example.com',
    address: '1 Example Street\r\nBerlin',
    countryCode: 'DE',
    taxId: '',
  };
  const typeName = 'silo.billing.v1.UpdateBillingDetailsRequest';
  const update = (billingDetails: BillingDetails) => {
    const organizationId = `org_us_${id}`;
    const request = UpdateBillingDetailsRequest.fromPartial({ organizationId, billingDetails });
    return read(typeName, UpdateBillingDetailsRequest, request);
  };
  t.like(update(details).request, { billingDetails: { address: '1 Example Street\nBerlin' } });
  refusedFields(t, update({ ...details, companyName: 'a\nb', taxId: '\u00ad' }), [
    'billing_details.company_name',
    'billing_details.tax_id',
  ]);
});

test('a string that is not UTF-8 does not decode', (t) => {
  const input = image.types.getMessage('silo.org.v1.CreateAccountRequest');
  if (input === undefined) throw new Error('there is no CreateAccountRequest');
  const readShape = compileShape(image, shapeValidator(image), input, {
    decode: (bytes) => CreateAccountRequest.decode(bytes),
    encodeRequest: (request) =>
      Buffer.from(CreateAccountRequest.encode(request as CreateAccountRequest).finish()),
  });
  const bytes = Buffer.from(CreateAccountRequest.encode({ ...account }).finish());
  bytes[bytes.indexOf('Ada')] = 0xff;
  refusedFields(t, readShape(bytes), ['']);
});

test('the URLs of a project are http or https', (t) => {
  const create = (url: string) => {
    const settings = ProjectSettings.fromPartial({ appUrls: [url] });
    const request = CreateProjectRequest.fromPartial({
      ...{ organizationId: `org_us_${id}`, name: 'Shop', settings },
    });
    return read('silo.project.v1.CreateProjectRequest', CreateProjectRequest, request);
  };
  for (const url of ['https://app.example.com', 'HTTP://localhost:3000', 'http://[::1]/a?b#c']) {
    t.is(create(url).violations, undefined, url);
  }
  const others = ['javascript:alert(1)', 'data:,x', 'ftp://example.com', 'https:x', 'https:///x'];
  for (const url of others) refusedFields(t, create(url), ['settings.app_urls[0]']);
});

/** Names of fields that hold a name or an address entered by a person. */
const worded = /(^|_)(name|address|tax_id)$/;
/** Fields that are set in responses and ignored in requests. */
const outputOnly = new Set(['silo.org.v1.Member.display_name']);
/** Names that programs give to what they send: stored unchanged. */
const ofData = new Set([
  'silo.project.v1.CapturedEvent.name',
  'silo.project.v1.PropertyFilter.name',
]);

test('every name in a request of the public API has a text rule', (t) => {
  const silent: string[] = [];
  for (const { path, method } of siloMethods(image)) {
    if (path.includes('.internal.')) continue;
    const texts = stringsOf(method.input, []).filter(({ name }) => worded.test(name));
    for (const field of texts) {
      const name = `${field.parent.typeName}.${field.name}`;
      const hasRule = field.proto.options?.$unknown?.some(({ no }) => no === 50002);
      if (!hasRule && !outputOnly.has(name) && !ofData.has(name)) silent.push(`${path}: ${name}`);
    }
  }
  t.deepEqual(silent, []);
});

function stringsOf(message: DescMessage, outer: readonly DescMessage[]): DescField[] {
  if (outer.includes(message)) return [];
  return message.fields.flatMap((field) => {
    if (field.fieldKind !== 'message') return field.fieldKind === 'scalar' ? [field] : [];
    return stringsOf(field.message, [...outer, message]);
  });
}
