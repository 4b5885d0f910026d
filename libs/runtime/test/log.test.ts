import { newApiKey, newInviteCode, newProjectToken } from '@silo/tokens/secrets.ts';
import test from 'ava';
import { createLogger, type Log } from '../log.ts';

function capture(): { log: Log; lines: () => Record<string, unknown>[]; text: () => string } {
  const written: string[] = [];
  const destination = { write: (line: string) => written.push(line) };
  const log = createLogger({ service: 'org', region: 'eu', level: 'info', destination });
  return {
    log,
    lines: () => written.map((line) => JSON.parse(line)),
    text: () => written.join(''),
  };
}

test('every line carries service, region, level by name and time; a child its call and trace', (t) => {
  const { log, lines } = capture();
  log.child({ callId: 'c1', traceId: 't1' }).info({ projects: 2 }, 'done');
  const [line] = lines();
  t.like(line, {
    level: 'info',
    service: 'org',
    region: 'eu',
    callId: 'c1',
    traceId: 't1',
    projects: 2,
    msg: 'done',
  });
  t.regex(String(line?.time), /^\d{4}-\d\d-\d\dT/);
});

test('entries below the level are not written', (t) => {
  const { log, text } = capture();
  log.debug('no');
  t.is(text(), '');
});

const names = [
  ...['authorization', 'Authorization', 'token', 'projectToken', 'project_token', 'secret', 'code'],
  ...['inviteCode', 'request_id', 'requestId', 'request-id', 'password', 'apiKey', 'cookie'],
];

for (const name of names) {
  test(`the field ${name} is redacted at any depth, in children, lists and errors`, (t) => {
    const { log, text } = capture();
    log.info({ [name]: 'hunter2' });
    log.info({ a: { b: [{ c: { d: { [name]: ['hunter2'] } } }] } });
    log.child({ [name]: 'hunter2' }).info('x');
    log
      .child({})
      .child({ [name]: 'hunter2' })
      .info('x');
    log.child({ call: { [name]: 'hunter2' } }).info('x');
    log.info({ metadata: { toJSON: () => ({ [name]: 'hunter2' }) } });
    if (name !== 'code') log.error(Object.assign(new Error('x'), { [name]: 'hunter2' }));
    log.error(
      new Error('x', { cause: Object.assign(new Error('y'), { in: { [name]: 'hunter2' } }) }),
    );
    log.error(Object.assign(new Error('x'), { request: { [name]: 'hunter2' } }));
    t.false(text().includes('hunter2'));
    t.true(text().includes('[redacted]'));
  });
}

test('tokens, keys and codes are redacted by their form in any text', (t) => {
  const { log, text } = capture();
  for (const secret of [newProjectToken(), newApiKey(), newInviteCode()]) {
    log.info(`got ${secret}.`);
    log.info('got %s', secret);
    log.info({ list: [secret], [secret]: 1 });
    log.error(new Error(`bad ${secret}`));
    log.child({ note: secret }).info('x');
    t.false(text().includes(secret));
  }
});

test('bearers and the users and passwords of URLs are redacted, hosts are kept', (t) => {
  const { log, text } = capture();
  log.info('connecting to mongodb://silo:hunter2@a:1,b:2/?tls=true');
  log.error(new Error('nats://hunter2@a:4222 refused Bearer hunter2'));
  t.false(text().includes('hunter2'));
  t.true(text().includes('mongodb://[redacted]@a:1,b:2/?tls=true'));
});

test('an error keeps its type, message, stack and code, a status its number', (t) => {
  const { log, lines } = capture();
  log.error(Object.assign(new TypeError('refused'), { code: 'ECONNREFUSED' }), 'failed');
  log.error({ err: new Error('x'), code: 14, when: new Date(0), bytes: Buffer.from('ab') });
  const [first, second] = lines();
  t.like(first, {
    msg: 'failed',
    err: { type: 'TypeError', message: 'refused', code: 'ECONNREFUSED' },
  });
  t.regex(JSON.stringify(first), /log\.test\.ts/);
  t.like(second, { code: 14, when: '1970-01-01T00:00:00.000Z', bytes: '[2 bytes]' });
});

test('the logger throws for no value', (t) => {
  const { log, lines } = capture();
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const hostile = {
    get boom() {
      throw new Error('boom');
    },
  };
  log.info({ cyclic, hostile, big: 1n, none: undefined, fn: () => 1, bare: Object.create(null) });
  t.is(lines().length, 1);
  t.is(lines()[0]?.hostile, '[unreadable]');
});
