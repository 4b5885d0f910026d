import { errors } from '@silo/errors/errors.ts';
import { CaptureOutcome, CaptureResult } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import test from 'ava';
import { answerV0, answerV1 } from '../edge/capture.ts';
import { HttpRefusal } from '../edge/http-refusal.ts';
import { checkEvent } from '../rules/events/check-event.ts';
import { alwaysIndexed } from '../rules/events/indexed-properties.ts';

// Errors of RPCs and of other parts of Silo while events are stored.
const healing = [
  errors.dependencyUnavailable('the access registry'),
  errors.dependencyUnavailable('mongodb'),
  errors.notReady('the project', 'is being cut over to another region'),
  errors.rateLimited('project', 1_000),
  errors.rateLimited('address', 1_000),
  errors.rateLimited('storing', 1_000),
  errors.draining(),
  errors.callEnded('deadline'),
  errors.internal('call-1'),
  errors.propagationUnconfirmed(),
  errors.projectMigrated('eu', ''),
];

const ofRpcs = /request_id|RetryInfo|RequestInfo|registry|mongodb|details|call/i;

for (const error of healing) {
  test(`${error.reasonName} “${error.message}” asks an HTTP client to send the body again`, (t) => {
    const { status, reason, message } = HttpRefusal.of(error);
    t.is(status, 503);
    t.is(reason, error.reasonName);
    t.regex(message, /^[A-Z].*\. Send the same request again/);
    t.notRegex(message, ofRpcs);
  });
}

test('transient refusals of the HTTP server itself say the same', (t) => {
  for (const { message } of [HttpRefusal.overloaded, HttpRefusal.draining]) {
    t.regex(message, /\. Send the same request again/);
  }
});

test('a permanent refusal says what is wrong with the request', (t) => {
  const violations = [{ field: 'token', description: 'must have at most 100 characters' }];
  const { status, message } = HttpRefusal.of(errors.invalidField(violations));
  t.is(status, 400);
  t.is(message, 'Correct the request: token must have at most 100 characters.');
});

test('violations use the field names of the HTTP client', (t) => {
  const sent = { uuid: 'u', name: '', distinctId: '', timestamp: '', properties: '7' };
  const checked = checkEvent(
    { ...sent, uuid: '' },
    {
      ...{ receiveTime: new Date(), superProperties: undefined, places: alwaysIndexed },
      newUuid: () => '0190a8f0-0000-7000-8000-000000000001',
    },
  );
  const violations = 'violations' in checked ? checked.violations : [];
  const result = CaptureResult.CAPTURE_RESULT_REFUSED;
  const outcomes = [CaptureOutcome.fromPartial({ result, violations })];
  const expected = [
    { field: 'event', description: 'must have 1-200 characters' },
    { field: 'distinct_id', description: 'must have 1-200 characters' },
    { field: 'properties', description: 'must be a JSON object' },
  ];
  t.deepEqual(answerV0([sent], outcomes), {
    status: 1,
    refused: [{ uuid: 'u', violations: expected }],
  });
  const details = expected.map(({ field, description }) => `${field} ${description}`).join('; ');
  t.deepEqual(answerV1([sent], outcomes), { results: { u: { result: 'drop', details } } });
});

const refusedOutcome = CaptureOutcome.fromPartial({
  result: CaptureResult.CAPTURE_RESULT_REFUSED,
  violations: [{ field: 'name', description: 'must have 1-200 characters' }],
});
const eventOf = (uuid: string) => ({
  ...{ uuid, name: '', distinctId: 'ada', timestamp: '', properties: '' },
});

test('v0 names the first 100 refused events and counts the others', (t) => {
  const events = Array.from({ length: 100_000 }, (_, index) => eventOf(`uuid-${index}`));
  const outcomes = events.map(() => refusedOutcome);
  const answer = answerV0(events, outcomes);
  t.is(answer.refused?.length, 100);
  t.is(answer.refused?.at(-1)?.uuid, 'uuid-99');
  t.is(answer.refused_others, 99_900);
  t.true(JSON.stringify(answer).length < 20_000);
  t.false('refused_others' in answerV0(events.slice(0, 100), outcomes.slice(0, 100)));
});

test('v1 names every event, and the violations of the first 100 refused ones', (t) => {
  const uuid = (index: number) => `0190a8f0-0000-7000-8000-${index.toString(16).padStart(12, '0')}`;
  const events = Array.from({ length: 100_000 }, (_, index) => eventOf(uuid(index)));
  const outcomes = events.map(() => refusedOutcome);
  const { results } = answerV1(events, outcomes);
  t.is(Object.keys(results).length, events.length);
  const details = 'event must have 1-200 characters';
  t.deepEqual(results[uuid(99)], { result: 'drop', details });
  t.deepEqual(results[uuid(100)], { result: 'drop' });
  t.true(JSON.stringify({ results }).length < 62 * events.length + 5_000);
});

test('a response contains at most 64 characters of the key of an event', (t) => {
  const long = 'x'.repeat(1_000_000);
  const [events, outcomes] = [[eventOf(long)], [refusedOutcome]];
  t.is(answerV0(events, outcomes).refused?.[0]?.uuid, long.slice(0, 64));
  t.deepEqual(Object.keys(answerV1(events, outcomes).results), [long.slice(0, 64)]);
});
