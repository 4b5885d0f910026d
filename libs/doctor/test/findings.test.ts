import { readFile } from 'node:fs/promises';
import test from 'ava';
import { advice } from '../advice.ts';
import type { Facts, ProcessFacts } from '../facts.ts';
import { findingsIn } from '../findings.ts';

const time = new Date('2027-01-31T12:00:00Z');
const dayMs = 24 * 60 * 60 * 1_000;
const inDays = (days: number) => new Date(time.getTime() + days * dayMs);
const accurate = { minMs: -700, maxMs: 400 };

const process: ProcessFacts = {
  ...{ service: 'org', address: 'a:1', clock: accurate },
  health: { '': true, 'silo.nats': true, 'silo.relay': true, 'silo.guard': true },
};
const mongodb = {
  ...{ version: '6.0.5', isOpen: false, isReplicaSet: true, transactionLifetimeSeconds: 10 },
  ...{ slowMs: 2_147_483_647, redactsLog: false, clock: { minMs: -2, maxMs: 3 } },
  members: ['PRIMARY', 'SECONDARY', 'ARBITER'].map((state) => ({ name: `${state}:1`, state })),
};
const database = {
  ...{ service: 'org', isSetUp: true, missingIndexes: [], openSagas: [], failedMigrations: [] },
  ...{ unsequencedSeconds: 0, unpublishedSeconds: 2, unpublishedCount: 1 },
};
const nats = {
  ...{ version: '2.15.1', isOpen: false, payloadMaxBytes: 1_048_576 },
  ...{ stream: { drift: [], clock: { minMs: -2, maxMs: 3 } }, consumers: [] },
};
const saga = { kind: 'create-project', state: 'decided', count: 2, oldestSeconds: 61 };

type Change = {
  process?: Partial<ProcessFacts>;
  mongodb?: Partial<typeof mongodb> | { unseen: string };
  database?: object | { unseen: string };
  nats?: object | { unseen: string };
  expireTime?: Date;
  unreachable?: string;
  otherRegion?: Facts['regions'][number]['answer'];
};

function factsWith(change: Change): Facts {
  const seen = <T extends object>(healthy: T, changed: object = {}) =>
    'unseen' in changed
      ? { unseen: String(changed.unseen) }
      : { seen: { ...healthy, ...changed } as T };
  const unseen = change.unreachable;
  return {
    time,
    processes: [
      {
        ...{ service: 'org', address: 'a:1' },
        process: unseen === undefined ? seen(process, change.process) : { unseen },
      },
    ],
    certificates: [{ holder: 'the CA', expireTime: change.expireTime ?? inDays(15) }],
    mongodb: seen(mongodb, change.mongodb),
    databases: [{ service: 'org', database: seen(database, change.database) }],
    nats: seen<Facts['nats'] extends { seen: infer T } | { unseen: string } ? T & object : never>(
      nats,
      change.nats,
    ),
    regions: [{ region: 'eu', address: 'b:1', answer: change.otherRegion ?? { seen: 'answers' } }],
  };
}

const cases: [keyof typeof advice, Change, RegExp][] = [
  ['process-unreachable', { unreachable: 'does not answer' }, /^org at a:1 does not answer/],
  ['process-not-serving', { process: { health: { '': false, 'silo.guard': false } } }, /NOT_SERV/],
  [
    'nats-not-connected',
    { process: { health: { '': true, 'silo.nats': false } } },
    /not connected/,
  ],
  ['relay-stalled', { process: { health: { 'silo.relay': false } } }, /not relayed/],
  ['guard-without-lease', { process: { health: { 'silo.guard': false } } }, /no read lease/],
  ['activity-stalled', { process: { health: { 'silo.activity': false } } }, /not followed/],
  ['clock-skew', { process: { clock: { minMs: -9_000, maxMs: -8_000 } } }, /a:1 .* 8 s slow/],
  ['clock-skew', { mongodb: { clock: { minMs: 7_500_000, maxMs: 7_500_010 } } }, /2 hours fast/],
  ['certificate-expires', { expireTime: inDays(13.5) }, /the CA ends in 13 days/],
  ['certificate-expires', { expireTime: inDays(-1) }, /ended at 2027-01-30T12/],
  ['mongodb-unreachable', { mongodb: { unseen: 'cannot be used' } }, /cannot be used/],
  ['mongodb-without-authentication', { mongodb: { isOpen: true } }, /without a user/],
  ['mongodb-standalone', { mongodb: { isReplicaSet: false } }, /no replica set/],
  [
    'mongodb-member-unhealthy',
    { mongodb: { members: [{ name: 'c:1', state: '(not reachable/healthy)' }] } },
    /member c:1 is \(not reachable/,
  ],
  ['mongodb-too-old', { mongodb: { version: '5.0.31' } }, /5\.0\.31/],
  ['mongodb-transaction-lifetime', { mongodb: { transactionLifetimeSeconds: 60 } }, /is 60/],
  ['mongodb-logs-documents', { mongodb: { slowMs: 100 } }, /slowms is 100/],
  [
    'mongodb-settings-unseen',
    { mongodb: { slowMs: undefined } as unknown as Partial<typeof mongodb> },
    /not show/,
  ],
  ['database-unseen', { database: { unseen: 'cannot be examined' } }, /database of org/],
  ['database-not-set-up', { database: { isSetUp: false, openSagas: [saga] } }, /no event log/],
  [
    'index-missing',
    { database: { missingIndexes: [{ collection: 'accounts', index: '{"a":1}' }] } },
    /\{"a":1\} of accounts/,
  ],
  ['saga-stuck', { database: { openSagas: [saga] } }, /2 sagas of create-project at decided/],
  ['events-unsequenced', { database: { unsequencedSeconds: 31 } }, /waited .* 31 s/],
  ['relay-lags', { database: { unpublishedSeconds: 150, unpublishedCount: 7 } }, /7 .* 2 minutes/],
  ['nats-unreachable', { nats: { unseen: 'cannot be used' } }, /cannot be used/],
  ['nats-without-authentication', { nats: { isOpen: true } }, /without a user/],
  ['nats-payload', { nats: { payloadMaxBytes: 65_536 } }, /65536/],
  ['stream-missing', { nats: { stream: undefined } }, /no such stream/],
  [
    'stream-drifted',
    { nats: { stream: { drift: [{ field: 'max_age', present: '1', wanted: '2' }] } } },
    /max_age of the stream is 1, not 2/,
  ],
  [
    'region-unreachable',
    { otherRegion: { unseen: 'does not answer' } },
    /^the region eu at b:1 does not answer/,
  ],
  [
    'migration-failed',
    { database: { failedMigrations: [{ id: 'mig_us_1', failure: 'The regions differ.' }] } },
    /mig_us_1 was given up: The regions differ/,
  ],
  ['subscriber-lags', { nats: { consumers: [{ name: 'crm', pending: 10_001 }] } }, /consumer crm/],
];

test('a healthy deployment has no findings', (t) => {
  t.deepEqual(findingsIn(factsWith({})), []);
  // Values of a healthy deployment under load.
  const busy = { openSagas: [{ ...saga, oldestSeconds: 59 }], unsequencedSeconds: 29 };
  t.deepEqual(findingsIn(factsWith({ database: busy })), []);
  t.deepEqual(findingsIn(factsWith({ mongodb: { slowMs: 100, redactsLog: true } })), []);
});

for (const [name, change, expected] of cases) {
  test(`${JSON.stringify(change)} leads to ${name} and no other finding`, (t) => {
    const found = findingsIn(factsWith(change));
    t.deepEqual(
      found.map((each) => each.name),
      [name],
    );
    t.regex(`${found[0]?.where} ${found[0]?.what}`, expected);
    t.like(found[0], advice[name]);
  });
}

test('the test has a case for every finding', (t) => {
  const named = new Set(cases.map(([name]) => name));
  t.deepEqual([...named].sort(), Object.keys(advice).sort());
});

test('if most clocks agree, the doctor’s own machine is reported as wrong', (t) => {
  const off = { minMs: 59_000, maxMs: 60_000 };
  const facts = factsWith({
    process: { clock: off },
    mongodb: { clock: off },
    nats: { stream: { drift: [], clock: off } },
  });
  const found = findingsIn(facts);
  t.deepEqual(
    found.map(({ name, where }) => `${name} ${where}`),
    ['clock-skew this machine'],
  );
});

test('docs/operations.md has a row for each finding, word for word', async (t) => {
  const page = await readFile(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| [^|]+ \| `([\w-]+)` \| ([^|]+) \| ([^|]+) \|$/gm)].map(
    ([, name, why, remedy]) => [name, { why, remedy }],
  );
  t.deepEqual(Object.fromEntries(rows), { ...advice });
});
