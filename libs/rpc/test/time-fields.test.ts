import {
  DeleteEventsRequest,
  QueryEventsRequest,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { CreateApiKeyRequest } from '@silo/protos/gen/silo/token/v1/api_key_service.ts';
import { loadImage } from '@silo/protos/image.ts';
import test, { type ExecutionContext } from 'ava';
import { compileShape, type Shaped, shapeValidator } from '../validate.ts';

const image = loadImage();
const projectId = `prj_${'0'.repeat(26)}`;
const min = new Date('0001-01-01T00:00:00Z');
const max = new Date('9999-12-31T23:59:59.999Z');
const beforeMin = new Date(min.getTime() - 1);
const afterMax = new Date(max.getTime() + 1);

type Codec<Message> = {
  decode(bytes: Uint8Array): Message;
  encode(message: Message): { finish(): Uint8Array };
};

function read<Message>(typeName: string, codec: Codec<Message>, message: Message): Shaped {
  const input = image.types.getMessage(typeName);
  if (input === undefined) throw new Error(`there is no ${typeName}`);
  const readShape = compileShape(image, shapeValidator(image), input, {
    decode: (bytes) => codec.decode(bytes),
    encodeRequest: (request) => Buffer.from(codec.encode(request as Message).finish()),
  });
  return readShape(Buffer.from(codec.encode(message).finish()));
}

function createKey(expireTime: Date): Shaped {
  const request = CreateApiKeyRequest.fromPartial({
    apiKey: { name: 'k', scopes: ['*'], expireTime },
    requestId: '00000000-0000-4000-8000-000000000000',
  });
  return read('silo.token.v1.CreateApiKeyRequest', CreateApiKeyRequest, request);
}

function refusedFields(t: ExecutionContext, shaped: Shaped, fields: string[]): void {
  t.deepEqual(
    shaped.violations?.map(({ field }) => field),
    fields,
  );
}

test('a time that other languages cannot represent is refused at its field', (t) => {
  refusedFields(t, createKey(afterMax), ['api_key.expire_time']);
  refusedFields(t, createKey(beforeMin), ['api_key.expire_time']);
  for (const time of [min, max]) t.is(createKey(time).violations, undefined);
});

test('every such time in a request is reported', (t) => {
  const filter = { startTime: beforeMin, endTime: afterMax };
  const fields = ['filter.start_time', 'filter.end_time'];
  const query = QueryEventsRequest.fromPartial({ projectId, filter });
  refusedFields(t, read('silo.project.v1.QueryEventsRequest', QueryEventsRequest, query), fields);
  const deletion = DeleteEventsRequest.fromPartial({ projectId, filter });
  refusedFields(
    t,
    read('silo.project.v1.DeleteEventsRequest', DeleteEventsRequest, deletion),
    fields,
  );
});
