import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { isAllowedOrigin } from '../rules/edge/allowed-origin.ts';
import { bodyText, gunzippedBytes, isGzip } from '../rules/edge/body-text.ts';
import {
  bearerToken,
  type CaptureBody,
  readCaptureBody,
  readToken,
  tokenAtEnd,
  tokenAtStart,
} from '../rules/edge/capture-body.ts';
import { withoutSkew } from '../rules/edge/clock-skew.ts';
import { isTooDense } from '../rules/edge/density.ts';
import { type RequestContext, sentEvent } from '../rules/edge/sent-event.ts';
import { checkEvent, type SentEvent } from '../rules/events/check-event.ts';
import { alwaysIndexed } from '../rules/events/indexed-properties.ts';
import { appendToObject, splitArray } from '../rules/events/json-text.ts';
import { canonicalUuid } from '../rules/events/uuid.ts';

const receiveTime = new Date('2026-11-29T12:00:00.000Z');
const uuid = '0190a8f0-0000-7000-8000-000000000001';
const made = '0190a8f0-0000-7000-8000-00000000000f';
const token = 'phc_token';

const context: RequestContext = {
  ...{ token, receiveTime, sentAt: '', isHistorical: false },
  ...{ address: undefined, library: undefined, newUuid: () => made },
};

function read(text: string): CaptureBody {
  const body = readCaptureBody(text);
  if (body === undefined) throw new Error(`no capture: ${text}`);
  return body;
}

function only(text: string, given: Partial<RequestContext> = {}): SentEvent {
  const { events, sentAt, isHistorical } = read(text);
  const [event] = events;
  if (event === undefined || events.length !== 1) throw new Error(`${events.length} events`);
  return sentEvent(event, { ...context, sentAt, isHistorical, ...given });
}

test('gzip is detected from its first bytes, and its unpacked size from its last', (t) => {
  const text = JSON.stringify({ a: 'x'.repeat(10_000) });
  t.true(isGzip(gzipSync(text)));
  t.is(gunzippedBytes(gzipSync(text)), text.length);
  t.false(isGzip(Buffer.from(text)));
  t.false(isGzip(Buffer.alloc(0)));
  t.is(gunzippedBytes(Buffer.from([0x1f, 0x8b])), 0);
});

test('a body is read in its charset, and from the field data of a form', (t) => {
  const text = '{"a":"é 😀"}';
  const form = `data=${encodeURIComponent(Buffer.from(text).toString('base64'))}&compression=base64`;
  const rows: [Buffer, string | undefined, string][] = [
    [Buffer.from(text), 'application/json', text],
    [Buffer.from(text), 'application/json; charset=utf-8', text],
    [Buffer.from(text), 'text/plain', text],
    [Buffer.from(text), undefined, text],
    [Buffer.from(text), 'application/json; charset=unheard-of', text],
    [Buffer.from(`\uFEFF${text}`), 'application/json', text],
    [Buffer.from(text, 'utf16le'), 'application/json;charset="UTF-16LE"', text],
    [Buffer.from('{"a":"é"}', 'latin1'), 'application/json; charset=iso-8859-1', '{"a":"é"}'],
    [Buffer.from([0x22, 0xff, 0x22]), 'application/json', '"\uFFFD"'],
    [Buffer.from(form), 'application/x-www-form-urlencoded', text],
    [
      Buffer.from(`data=${Buffer.from('{"b":"~~~>"}').toString('base64')}`),
      undefined,
      '{"b":"~~~>"}',
    ],
  ];
  for (const [bytes, contentType, expected] of rows) {
    t.is(bodyText(bytes, contentType), expected, `${contentType} ${bytes.toString('latin1')}`);
  }
});

test('the token at the end of a body is that of its outermost object', (t) => {
  const rows: [string, string | undefined][] = [
    ['{"batch":[],"api_key":"phc_a"}', 'phc_a'],
    ['"sent_at": "", "token" : "phc_a" }\n', 'phc_a'],
    ['{"batch":[{"token":"phc_a"}]}', undefined],
    ['{"properties":{"token":"phc_a"}}', undefined],
    ['[{"token":"phc_a"}]', undefined],
    ['{"name":"\\"token\\":\\"phc_a"}', undefined],
    ['{"api_key":"phx_a"}', undefined],
  ];
  for (const [text, token] of rows) t.is(tokenAtEnd(text), token, text);
});

test('only the field data of a form is read, even if it has a million more', (t) => {
  const text = '{"a":1}';
  const form = `data=${encodeURIComponent(Buffer.from(text).toString('base64'))}${'&a'.repeat(1_000_000)}`;
  t.is(bodyText(Buffer.from(form), undefined), text);
});

test('bodies of SDKs are not too dense, but those that need many times their size are', (t) => {
  const event = JSON.stringify({
    ...{ event: 'seen', distinct_id: 'ada', uuid, timestamp: '2026-11-29T12:00:00.000Z' },
    properties: {
      $lib: 'web',
      $host: 'app.example.com',
      a: 1,
      b: true,
      c: [1, 2, 3],
      d: { e: 'f' },
    },
  });
  const bodyBytesMax = 20 * 2 ** 20;
  const batch = `[${`${event},`.repeat(bodyBytesMax / (event.length + 1)).slice(0, -1)}]`;
  t.false(isTooDense(batch));
  t.false(isTooDense(`["${'x'.repeat(bodyBytesMax)}"]`));
  t.false(isTooDense(`[${'{},'.repeat(1_000)}{}]`));
  for (const dense of ['{},', '[],', '1,', '"",', '[', '{"":']) {
    t.true(isTooDense(dense.repeat(bodyBytesMax / dense.length)), dense);
  }
});

test('a body is a batch, one event or an array of events; anything else is invalid', (t) => {
  const event = '{"event":"seen","distinct_id":"ada"}';
  const rows: [string, number | undefined][] = [
    [`{"api_key":"${token}","batch":[${event},${event}],"sent_at":null}`, 2],
    [`{"batch":[ ${event} , null , 3 , "x" , [] , {} ]}`, 6],
    ['{"batch":[]}', 0],
    [event, 1],
    [`[${event}]`, 1],
    ['[]', 0],
    ['{"batch":{}}', undefined],
    ['{"batch":null}', undefined],
    ['null', undefined],
    ['3', undefined],
    ['"x"', undefined],
    ['', undefined],
    [`{"batch":[${event}`, undefined],
    ['{"batch":[{"event":NaN}]}', undefined],
  ];
  for (const [text, count] of rows) t.is(readCaptureBody(text)?.events.length, count, text);
});

test('the token is api_key, token, properties.token or Bearer', (t) => {
  const bodies: [string, string | undefined][] = [
    [`{"api_key":"${token}","batch":[]}`, token],
    [`{"token":"${token}","batch":[]}`, token],
    [`{"batch":[{"api_key":"${token}"}]}`, token],
    [`{"event":"seen","properties":{"token":"${token}"}}`, token],
    [`[{"event":"seen","properties":{"token":"${token}"}}]`, token],
    [`[null,{"event":"seen"},{"token":"${token}"},{"token":"phc_other"}]`, token],
    [`{"batch":[{"token":7},{"event":"seen","properties":{"token":"${token}"}}]}`, token],
    ['{"api_key":"","batch":[{"properties":{"token":7}}]}', undefined],
    ['{"api_key":null,"batch":[null]}', undefined],
    ['[]', undefined],
  ];
  for (const [text, expected] of bodies) t.is(read(text).token, expected, text);
  t.is(readToken(`{"token":"${token}","distinct_id":"ada"}`), token);
  t.is(readToken('['), undefined);
  t.is(bearerToken('Bearer phc_a'), 'phc_a');
  t.is(bearerToken('bearer phc_a'), 'phc_a');
  for (const other of [undefined, '', 'Basic phc_a', 'Bearer phx_a'])
    t.is(bearerToken(other), undefined);
  t.is(tokenAtStart('{ "api_key" : "phc_a", "batch":['), 'phc_a');
  t.is(tokenAtStart('{"batch":[{"token":"phc_a"'), undefined);
  t.is(tokenAtStart('{"api_key":"phc_'), undefined);
});

test('an event of an SDK is converted to one of CaptureEvents', (t) => {
  const rows: [what: string, text: string, expected: Partial<SentEvent>][] = [
    [
      'node',
      `{"event":"seen","uuid":"${uuid}","distinct_id":"ada","type":"capture","library":"x","properties":{"a":1},"timestamp":"2026-11-29T12:00:00.000Z"}`,
      {
        uuid,
        name: 'seen',
        distinctId: 'ada',
        properties: '{"a":1}',
        timestamp: '2026-11-29T12:00:00.000Z',
      },
    ],
    [
      'go: a blank uuid',
      '{"event":"seen","uuid":"","distinct_id":"ada"}',
      { uuid: made, properties: '{}' },
    ],
    [
      'go: no uuid, distinct id in properties alone',
      '{"event":"$create_alias","properties":{"distinct_id":"ada","alias":"bob"}}',
      { uuid: made, distinctId: 'ada', properties: '{"distinct_id":"ada","alias":"bob"}' },
    ],
    [
      'rs: no timestamp',
      '{"event":"seen","distinct_id":"ada","timestamp":null,"uuid":null,"properties":null}',
      { timestamp: '', uuid: made, properties: '{}' },
    ],
    [
      'a number as distinct id',
      '{"event":"seen","distinct_id":18446744073709551616,"properties":{}}',
      { distinctId: '18446744073709551616' },
    ],
    [
      'a number as distinct id in properties',
      '{"event":"seen","properties":{"distinct_id":12345678901234567890}}',
      { distinctId: '12345678901234567890' },
    ],
    [
      'numbers keep their text',
      '{"event":"seen","properties":{"a":18446744073709551615,"b":1180591620717411303424,"c":1.10,"d":1e+21,"e":-0.0}}',
      {
        properties:
          '{"a":18446744073709551615,"b":1180591620717411303424,"c":1.10,"d":1e+21,"e":-0.0}',
      },
    ],
    [
      'lone surrogates',
      '{"event":"a\\ud83d","distinct_id":"b\\udc00","properties":{"x":"\\ud83d"}}',
      { name: 'a\uFFFD', distinctId: 'b\uFFFD', properties: '{"x":"\\ud83d"}' },
    ],
    [
      '$set beside properties',
      '{"event":"$identify","$set":{"a":1.0},"$set_once":{"b":2},"properties":{"c":3}}',
      { properties: '{"c":3,"$set":{"a":1.0},"$set_once":{"b":2}}' },
    ],
    [
      '$set in both',
      '{"event":"$identify","$set":{"a":1,"b":1},"properties":{"$set":{"b":2},"c":3}}',
      { properties: '{"$set":{"a":1,"b":2},"c":3}' },
    ],
    [
      '$set null',
      '{"event":"$identify","$set":null,"properties":{"c":3}}',
      { properties: '{"c":3}' },
    ],
    [
      'v1',
      '{"event":"seen","session_id":"s","window_id":"w","options":{"process_person_profile":false,"new":1},"properties":{}}',
      { properties: '{"$session_id":"s","$window_id":"w","$process_person_profile":false}' },
    ],
    [
      'js: the token itself',
      `{"event":"seen","properties":{"token":"${token}","distinct_id":"ada","a":1.0}}`,
      { distinctId: 'ada', properties: '{"distinct_id":"ada","a":1.0}' },
    ],
    [
      'another token',
      '{"event":"seen","properties":{"token":"mine"}}',
      { properties: '{"token":"mine"}' },
    ],
    [
      'names that mean something elsewhere',
      '{"event":"seen","properties":{"__proto__":{"x":1},"$where":"1","a.b":2}}',
      { properties: '{"__proto__":{"x":1},"$where":"1","a.b":2}' },
    ],
    ['properties of a wrong type', '{"event":"seen","properties":[1]}', { properties: '[1]' }],
  ];
  for (const [what, text, expected] of rows) {
    t.like(only(text), expected, what);
    t.like(only(`{"batch":[${text}]}`), expected, what);
  }
});

test('an event with a time but no UUID gets the same UUID each time it is sent', (t) => {
  const event = '{"event":"seen","distinct_id":"ada","timestamp":"2026-11-29T12:00:00.000000001Z"}';
  const uuids = (...texts: string[]) => {
    const { events } = read(`{"api_key":"${token}","batch":[${texts.join()}]}`);
    return events.map((each) => sentEvent(each, context).uuid);
  };
  const [first, second] = uuids(event, event);
  t.deepEqual(uuids(event, event), [first, second]);
  t.not(first, second);
  t.regex(`${first}`, /^01a2272d-2600-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  t.is(canonicalUuid(`${first}`), first);
  for (const other of [
    event.replace('ada', 'bob'),
    event.replace('001Z', '002Z'),
    event.replace('001Z', '001+00:00'),
    event.replace('{', '{ '),
  ]) {
    t.false(
      uuids(other, other).some((each) => [first, second].includes(each)),
      other,
    );
  }
  t.is(uuids(event.replace('{', '{"uuid":"",'))[0], uuids(event.replace('{', '{"uuid":"",'))[0]);
  t.deepEqual(uuids(event.replace('{', `{"uuid":"${uuid}",`)), [uuid]);
  // The time of the request makes no difference, even if the SDK's clock is wrong.
  const sentAt = '2020-01-01T00:00:00Z';
  t.is(only(`{"sent_at":"${sentAt}","batch":[${event}]}`).uuid, `${first}`);
  t.regex(only(event.replace('2026', '1925')).uuid, /^00000000-0000-8/);
});

test('an event without a UUID and a time gets a new UUID each time it is sent', (t) => {
  for (const more of ['', ',"timestamp":null', ',"timestamp":""', ',"timestamp":"yesterday"']) {
    t.is(only(`{"batch":[{"event":"seen","distinct_id":"ada"${more}}]}`).uuid, made);
  }
});

test('an invalid event is refused by the rules of an event, without the others', (t) => {
  for (const text of [
    'null',
    '3',
    '"x"',
    '[]',
    '{}',
    '{"event":{}}',
    '{"event":"seen","properties":"x"}',
  ]) {
    const sent = only(`[${text}]`);
    const checked = checkEvent(sent, {
      receiveTime,
      superProperties: undefined,
      newUuid: () => made,
      places: alwaysIndexed,
    });
    t.true('violations' in checked, text);
  }
});

test('the client’s address and the SDK are added if the event does not have them', (t) => {
  const given = { address: '192.0.2.1', library: 'posthog-node/5.70.0' };
  t.is(
    only('{"event":"seen","properties":{ }}', given).properties,
    '{ "$lib":"posthog-node","$lib_version":"5.70.0","$ip":"192.0.2.1"}',
  );
  t.is(
    only('{"event":"seen","properties":{"$lib":"web","$ip":"198.51.100.7"}}', given).properties,
    '{"$lib":"web","$ip":"198.51.100.7"}',
  );
});

test('only times of an SDK with a wrong clock are corrected', (t) => {
  const timestamp = '2026-11-28T11:00:00.123456+02:00';
  const rows: [sentAt: string, expected: string][] = [
    ['', timestamp],
    ['nonsense', timestamp],
    ['2026-11-29T12:00:00Z', timestamp],
    ['2026-11-29T11:50:00Z', timestamp],
    ['2026-11-29T11:49:59Z', '2026-11-28T09:10:01.123Z'],
    ['2027-11-29T12:00:00+00:00', '2025-11-28T09:00:00.123Z'],
  ];
  for (const [sentAt, expected] of rows)
    t.is(withoutSkew(timestamp, sentAt, receiveTime), expected, sentAt);
  t.is(withoutSkew('', '2020-01-01T00:00:00Z', receiveTime), '');
  t.is(
    withoutSkew('9999-12-31T00:00:00Z', '2020-01-01T00:00:00Z', receiveTime),
    '9999-12-31T00:00:00Z',
  );
  const event = (more: string) =>
    `{"sent_at":"2020-01-01T00:00:00Z",${more}"batch":[{"event":"seen","timestamp":"2019-12-31T23:00:00Z"`;
  t.is(only(`${event('')}}]}`).timestamp, '2026-11-29T11:00:00.000Z');
  t.is(only(`${event('"historical_migration":true,')}}]}`).timestamp, '2019-12-31T23:00:00Z');
  t.is(
    only(`${event('')},"options":{"disable_skew_correction":true}}]}`).timestamp,
    '2019-12-31T23:00:00Z',
  );
  t.is(
    only(`${event('')},"properties":{"$ignore_sent_at":true}}]}`).timestamp,
    '2019-12-31T23:00:00Z',
  );
});

test('app_urls are the allowed origins of browsers, if there are any', (t) => {
  const urls = ['https://app.example.com/path?x', 'http://LOCALHOST:3000'];
  t.true(isAllowedOrigin('https://elsewhere.example.com', []));
  t.true(isAllowedOrigin(undefined, urls));
  t.true(isAllowedOrigin('https://app.example.com', urls));
  t.true(isAllowedOrigin('http://localhost:3000', urls));
  for (const other of [
    'http://app.example.com',
    'https://app.example.com:8443',
    'null',
    'https://app.example.com.evil.example',
  ]) {
    t.false(isAllowedOrigin(other, urls), other);
  }
});

test('an app_url with a wildcard allows the hosts directly below its domain', (t) => {
  const urls = ['https://*.Example.com/path', 'http://*.local.test:3000'];
  for (const origin of ['https://app.example.com', 'http://a-1.local.test:3000']) {
    t.true(isAllowedOrigin(origin, urls), origin);
  }
  for (const other of [
    'https://example.com',
    'https://a.b.example.com',
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://app.example.com.evil.example',
    'https://evilexample.com',
    'https://evil.example/.example.com',
    'https://.example.com',
    'null',
  ]) {
    t.false(isAllowedOrigin(other, urls), other);
  }
});

test('elements are split, and properties appended, without a change of any value', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue()),
      fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()),
      (array, object) => {
        const name = randomUUID();
        for (const space of [undefined, 2]) {
          const split = splitArray(JSON.stringify(array, null, space));
          t.deepEqual(
            split.map((each) => JSON.parse(each)),
            JSON.parse(JSON.stringify(array)),
          );
          const appended = appendToObject(
            JSON.stringify(object, null, space),
            new Map([[name, '1']]),
          );
          t.deepEqual(JSON.parse(appended), { ...JSON.parse(JSON.stringify(object)), [name]: 1 });
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test('reading never throws for any body, and every event of a body is checked', (t) => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          event: tie('any'),
          uuid: tie('any'),
          timestamp: tie('any'),
          distinct_id: tie('any'),
          properties: tie('any'),
          options: tie('any'),
          $set: tie('any'),
        },
        { requiredKeys: [] },
      ),
    ),
  })).any;
  fc.assert(
    fc.property(
      fc.oneof(fc.array(value), fc.record({ batch: fc.array(value), sent_at: value })),
      (body) => {
        const { events } = read(JSON.stringify(body));
        for (const event of events) {
          const sent = sentEvent(event, { ...context, address: '::1', library: 'x/1' });
          checkEvent(sent, {
            receiveTime,
            superProperties: undefined,
            newUuid: () => made,
            places: alwaysIndexed,
          });
          t.is(typeof sent.properties, 'string');
        }
      },
    ),
    { numRuns: 2_000 },
  );
});
