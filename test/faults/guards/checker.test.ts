/** Tests the checker of guard histories with histories that keep and that break the guarantee. */
import { appendFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type Attempt, Checker, type Period } from './checker.ts';
import { HistoryBuffer, readHistory, type Verification } from './history.ts';

/** Granted at 10, and certainly ended at 100. */
const ended: Period = {
  ...{ questionId: 1, what: 'a token, RegenerateProjectToken', fromMs: 10 },
  end: { atMs: 100, why: 'returned' },
};

function verification(
  startMs: number,
  endMs: number,
  more: Partial<Verification> = {},
): Verification {
  return { questionId: 1, startMs, endMs, verdict: 'accepted', isFromMemory: true, ...more };
}

function check(periods: Period[], verifications: Verification[]) {
  const checker = new Checker(periods);
  checker.see('guard-1', verifications);
  return checker.report();
}

test('an acceptance that started before the RPC returned is allowed, however long it took', (t) => {
  const { violations, accepted, proved } = check(
    [ended],
    [verification(99, 500), verification(100, 101)],
  );
  t.deepEqual(violations, []);
  t.is(accepted, 2);
  t.is(proved, 0);
});

test('an acceptance that started after the RPC returned is found, and reported with guard and delay', (t) => {
  const { violations } = check([ended], [verification(50, 50), verification(100.001, 100.002)]);
  t.deepEqual(violations, [
    'guard-1 accepts from memory question 1 (a token, RegenerateProjectToken) 0.001 ms after its RPC had returned',
  ]);
});

test('an acceptance after an RPC without a result is found once a renewal and a lease have passed', (t) => {
  const bounded: Period = { ...ended, end: { atMs: 100, why: 'bounded' } };
  const { violations } = check([bounded], [verification(120, 121, { isFromMemory: false })]);
  t.regex(violations.join(), /after a fetch .* 20\.000 ms after its bound had passed/);
});

test('an acceptance of access that was never granted, or not yet, is found', (t) => {
  const { violations } = check(
    [ended],
    [verification(1, 9), verification(50, 60, { questionId: 2 })],
  );
  t.is(violations.length, 2);
});

test('refusals and failures are allowed at any time', (t) => {
  const { violations, unavailable } = check(
    [ended],
    [
      verification(200, 201, { verdict: 'refused' }),
      verification(200, 201, { verdict: 'unavailable' }),
    ],
  );
  t.deepEqual(violations, []);
  t.is(unavailable, 1);
});

test('access that was granted again may be accepted from when its RPC was sent, and not in between', (t) => {
  const again: Period = { ...ended, fromMs: 300, end: undefined };
  t.deepEqual(check([ended, again], [verification(90, 90), verification(299, 300)]).violations, []);
  t.is(check([ended, again], [verification(200, 299)]).violations.length, 1);
});

test('access whose removal is uncertain may be accepted for ever', (t) => {
  t.deepEqual(check([{ ...ended, end: undefined }], [verification(1e9, 1e9)]).violations, []);
});

test('a period is proved by an acceptance before its end and a check after it', (t) => {
  const after = verification(102.5, 103, { verdict: 'refused' });
  const report = check([ended, { ...ended, questionId: 2 }], [verification(50, 51), after]);
  t.is(report.ended, 2);
  t.is(report.proved, 1);
  t.deepEqual(report.nextCheckMs, { median: 2.5, max: 2.5 });
});

test('some of many violations are reported, and all are counted', (t) => {
  const many = Array.from({ length: 100 }, () => verification(200, 200));
  const { violations, violationsUnreported } = check([ended], many);
  t.is(violations.length + violationsUnreported, 100);
});

const leaseMs = 1_000;
const attempt: Attempt = {
  ...{ what: 'RemoveMember', sentMs: 0, endedMs: 2_000, outcome: 'OK', yardstickMs: 20 },
};

function checkAttempts(attempts: Attempt[]): string[] {
  const checker = new Checker([]);
  checker.seeAttempts(attempts, { leaseMs });
  return checker.report().violations;
}

test('an RPC that ends within a lease and its own work is in time, and a later one is found', (t) => {
  t.deepEqual(checkAttempts([attempt]), []);
  const late = { ...attempt, endedMs: 2_001 };
  const text = 'while an empty RPC and transaction took 20 ms at most';
  t.deepEqual(checkAttempts([late]), [`RemoveMember took 2001 ms and said OK, ${text}`]);
  const after = '40 ms after “NATS is killed” was over';
  t.deepEqual(checkAttempts([{ ...late, after }]), [
    `RemoveMember took 2001 ms and said OK, ${text}, ${after}`,
  ]);
});

test('a refusal may take as long as its waits for servers that did not answer, and no longer', (t) => {
  const refused = { ...attempt, outcome: 'DEPENDENCY_UNAVAILABLE', endedMs: 12_000 };
  t.deepEqual(checkAttempts([refused]), []);
  t.is(checkAttempts([{ ...refused, endedMs: 12_001 }]).length, 1);
});

test('more refusals than a busy machine explains are found, but refusals during a strike are excused', (t) => {
  const refused = { ...attempt, outcome: 'DEPENDENCY_UNAVAILABLE' };
  const attempts = (count: number) => [
    ...Array.from({ length: count }, () => refused),
    ...Array.from({ length: 100 - count }, () => attempt),
  ];
  t.deepEqual(checkAttempts(attempts(2)), []);
  t.deepEqual(checkAttempts(attempts(3)), [
    '3 of 100 RPCs were refused with DEPENDENCY_UNAVAILABLE while nothing struck the servers',
  ]);
  const excused = { ...refused, excuse: 'token-1 was stopped' };
  t.deepEqual(checkAttempts([...attempts(2), ...Array.from({ length: 50 }, () => excused)]), []);
});

test('refusals beside yardsticks that take as long as a wait for a server are the machine’s', (t) => {
  const refused = { ...attempt, outcome: 'DEPENDENCY_UNAVAILABLE' };
  const beside = (yardstickMs: number) => [
    { ...refused, yardstickMs },
    { ...refused, yardstickMs },
  ];
  t.deepEqual(checkAttempts(beside(60)), []);
  t.is(checkAttempts(beside(59)).length, 1);
});

test('an RPC with an unknown outcome, or on a stopped process, may take longer', (t) => {
  const late = { ...attempt, endedMs: 9_000 };
  t.deepEqual(checkAttempts([{ ...late, outcome: 'PROPAGATION_UNCONFIRMED' }]), []);
  t.deepEqual(checkAttempts([{ ...late, excuse: 'token-1 was stopped' }]), []);
});

test('the time that an RPC may take beyond a lease grows with the slowness of the machine', (t) => {
  const late = { ...attempt, endedMs: 4_000 };
  t.is(checkAttempts([{ ...late, yardstickMs: 59 }]).length, 1);
  t.is(checkAttempts([{ ...late, yardstickMs: 60 }]).length, 0);
});

test('an RPC may take a second beyond a lease on the fastest machine', (t) => {
  const quick = { ...attempt, yardstickMs: 1 };
  t.is(checkAttempts([quick]).length, 0);
  t.is(checkAttempts([{ ...quick, endedMs: 2_001 }]).length, 1);
});

test('an RPC that hangs is found on a machine that is a hundred times slower', (t) => {
  const yardstickMs = 500;
  t.is(checkAttempts([{ ...attempt, endedMs: 30_000, yardstickMs }]).length, 1);
  t.is(checkAttempts([{ ...attempt, endedMs: 20_000, yardstickMs }]).length, 0);
});

test('a written history is read unchanged, except for a last record that a kill made incomplete', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'silo-history-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'guard-1');
  const verdicts = ['refused', 'accepted', 'unavailable'] as const;
  const written = Array.from({ length: 20_000 }, (_, index) =>
    verification(123_456_789.123_456 + index, 123_456_790 + index, {
      questionId: index,
      verdict: verdicts[index % 3] ?? 'refused',
      isFromMemory: index % 2 === 0,
    }),
  );
  const buffer = new HistoryBuffer();
  for (const [index, each] of written.entries()) {
    buffer.add(each.questionId, each.startMs, each.endMs, each.verdict, each.isFromMemory);
    if (index % 1_500 === 0) appendFileSync(file, buffer.take());
  }
  appendFileSync(file, buffer.take());
  appendFileSync(file, Buffer.alloc(23));
  t.deepEqual([...readHistory(file)], written);
});
