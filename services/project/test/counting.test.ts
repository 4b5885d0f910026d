import test from 'ava';
import { startOf, Tally } from '../rules/events/counting.ts';

const rows: [unit: 'hour' | 'day', timeZone: string, time: string, start: string][] = [
  ['day', 'UTC', '2026-03-29T12:00:00Z', '2026-03-29T00:00:00Z'],
  // 23 hours: the clocks go forward on 29 March.
  ['day', 'Europe/Berlin', '2026-03-29T21:59:59.999Z', '2026-03-28T23:00:00Z'],
  ['day', 'Europe/Berlin', '2026-03-29T22:00:00Z', '2026-03-29T22:00:00Z'],
  // 25 hours: the clocks go back on 25 October.
  ['day', 'Europe/Berlin', '2026-10-25T22:59:59.999Z', '2026-10-24T22:00:00Z'],
  ['day', 'Europe/Berlin', '2026-10-25T23:00:00Z', '2026-10-25T23:00:00Z'],
  // The hour from 2 to 3 is there twice.
  ['hour', 'Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-25T00:00:00Z'],
  ['hour', 'Europe/Berlin', '2026-10-25T01:30:00Z', '2026-10-25T01:00:00Z'],
  // Half an hour, and a quarter.
  ['hour', 'Asia/Kolkata', '2026-01-01T00:10:00Z', '2025-12-31T23:30:00Z'],
  ['day', 'Asia/Kolkata', '2026-01-01T18:29:59Z', '2025-12-31T18:30:00Z'],
  ['hour', 'Asia/Kathmandu', '2026-01-01T00:10:00Z', '2025-12-31T23:15:00Z'],
  // The clocks change by half an hour: the hour from 1 has 90 minutes, that from 2:30 has 30.
  ['hour', 'Australia/Lord_Howe', '2026-04-04T15:15:00Z', '2026-04-04T14:00:00Z'],
  ['hour', 'Australia/Lord_Howe', '2026-10-03T15:45:00Z', '2026-10-03T15:30:00Z'],
  // The day begins at 1, because the clocks go forward at midnight.
  ['day', 'America/Havana', '2026-03-08T06:30:00Z', '2026-03-08T05:00:00Z'],
  // Before there were time zones.
  ['day', 'Europe/Berlin', '1880-06-01T12:00:00Z', '1880-05-31T23:06:32Z'],
  // It began before the first time that a Timestamp holds.
  ['day', 'America/New_York', '0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
  ['hour', 'America/New_York', '0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
];

for (const [unit, timeZone, time, start] of rows) {
  test(`in ${timeZone} the ${unit} of ${time} begins at ${start}`, (t) => {
    t.deepEqual(startOf(unit, new Date(time), timeZone), new Date(start));
  });
}

test('since 1980 every offset of every time zone is a multiple of 15 minutes', (t) => {
  const quarterMs = 15 * 60_000;
  for (const timeZone of Intl.supportedValuesOf('timeZone')) {
    for (let year = 1980; year <= 2030; year += 1) {
      for (const month of ['01', '07']) {
        const start = startOf('day', new Date(`${year}-${month}-15T12:00:00Z`), timeZone);
        t.is(start.getTime() % quarterMs, 0, `${timeZone} in ${year}`);
      }
    }
  }
});

test('of names and values the largest are listed, and all add up to the total', (t) => {
  const tally = new Tally({ by: 'property', property: 'plan' }, 2);
  tally.addValue('free', 5);
  tally.addValue(null, 7);
  tally.addValue('scale', 1);
  tally.addValue(1, 2);
  tally.addValue(undefined, 4);
  tally.addValue('free', 5);
  t.deepEqual(tally.counts(), {
    groups: [
      { key: 'free', count: 10 },
      { key: null, count: 7 },
    ],
    ...{ total: 24, others: 3, absent: 4 },
  });
});

test('a page of hours takes no hour more than it may have', (t) => {
  const tally = new Tally({ by: 'hour', timeZone: 'UTC' }, 2);
  t.true(tally.addAt(new Date('2026-01-01T05:30:00Z'), 1));
  t.true(tally.addAt(new Date('2026-01-01T05:00:00Z'), 2));
  t.true(tally.addAt(new Date('2026-01-01T04:59:00Z'), 3));
  t.false(tally.addAt(new Date('2026-01-01T03:59:00Z'), 4));
  t.deepEqual(tally.counts().groups, [
    { key: new Date('2026-01-01T05:00:00Z'), count: 3 },
    { key: new Date('2026-01-01T04:00:00Z'), count: 3 },
  ]);
  t.is(tally.counts().total, 6);
});
