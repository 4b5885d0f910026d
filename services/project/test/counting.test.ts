import test from 'ava';
import { Temporal } from 'temporal-polyfill';
import { jsonOf, startOf, Tally } from '../rules/events/counting.ts';

const rows: [unit: 'hour' | 'day', timeZone: string, time: string, start: string][] = [
  ['day', 'UTC', '2026-03-29T12:00:00Z', '2026-03-29T00:00:00Z'],
  // 23 hours: the clocks go forward on 29 March.
  ['day', 'Europe/Berlin', '2026-03-29T21:59:59.999Z', '2026-03-28T23:00:00Z'],
  ['day', 'Europe/Berlin', '2026-03-29T22:00:00Z', '2026-03-29T22:00:00Z'],
  // 25 hours: the clocks go back on 25 October.
  ['day', 'Europe/Berlin', '2026-10-25T22:59:59.999Z', '2026-10-24T22:00:00Z'],
  ['day', 'Europe/Berlin', '2026-10-25T23:00:00Z', '2026-10-25T23:00:00Z'],
  // The hour from 2 to 3 occurs twice.
  ['hour', 'Europe/Berlin', '2026-10-25T00:30:00Z', '2026-10-25T00:00:00Z'],
  ['hour', 'Europe/Berlin', '2026-10-25T01:30:00Z', '2026-10-25T01:00:00Z'],
  // Offsets of half an hour, and of a quarter.
  ['hour', 'Asia/Kolkata', '2026-01-01T00:10:00Z', '2025-12-31T23:30:00Z'],
  ['day', 'Asia/Kolkata', '2026-01-01T18:29:59Z', '2025-12-31T18:30:00Z'],
  ['hour', 'Asia/Kathmandu', '2026-01-01T00:10:00Z', '2025-12-31T23:15:00Z'],
  // The clocks change by half an hour: the hour from 1 has 90 minutes, that from 2:30 has 30.
  ['hour', 'Australia/Lord_Howe', '2026-04-04T15:15:00Z', '2026-04-04T14:00:00Z'],
  ['hour', 'Australia/Lord_Howe', '2026-10-03T15:45:00Z', '2026-10-03T15:30:00Z'],
  // The day begins at 1, because the clocks go forward at midnight.
  ['day', 'America/Havana', '2026-03-08T06:30:00Z', '2026-03-08T05:00:00Z'],
  // The clocks go back from 0:01 to 23:01: the day and its first hour have begun.
  ['day', 'America/St_Johns', '2010-11-07T02:30:30Z', '2010-11-07T02:30:00Z'],
  ['day', 'America/St_Johns', '2010-11-07T02:45:00Z', '2010-11-07T02:30:00Z'],
  ['hour', 'America/St_Johns', '2010-11-07T02:45:00Z', '2010-11-07T02:30:00Z'],
  ['hour', 'America/St_Johns', '2010-11-07T03:45:00Z', '2010-11-07T03:30:00Z'],
  // The clocks go forward from 0:01 to 1:01.
  ['hour', 'America/St_Johns', '2010-03-14T03:40:00Z', '2010-03-14T03:30:00Z'],
  // Before time zones existed.
  ['day', 'Europe/Berlin', '1880-06-01T12:00:00Z', '1880-05-31T23:06:32Z'],
  // It began before the minimum of a Timestamp.
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

/** Clock changes since 1980, one of each kind with the same offsets at the same time of day. */
function changesOfClocks(): Temporal.ZonedDateTime[] {
  const found = new Map<string, Temporal.ZonedDateTime>();
  for (const timeZone of Intl.supportedValuesOf('timeZone')) {
    const begin = Temporal.Instant.from('1980-01-01T00:00:00Z').toZonedDateTimeISO(timeZone);
    let next = begin.getTimeZoneTransition('next');
    while (next !== null && next.year <= 2030) {
      const before = next.subtract({ milliseconds: 1 });
      found.set(`${before.offset} ${next.offset} ${next.toPlainTime()}`, next);
      next = next.getTimeZoneTransition('next');
    }
  }
  return [...found.values()];
}

test('at clock changes, a later time never belongs to an earlier day or hour, nor to one of 15 minutes', (t) => {
  const minuteMs = 60_000;
  const changes = changesOfClocks();
  t.true(changes.length > 100);
  for (const change of changes) {
    const { timeZoneId } = change;
    const changeMs = change.epochMilliseconds;
    for (const unit of ['hour', 'day'] as const) {
      let last = 0;
      for (let ms = changeMs - 60 * minuteMs; ms < changeMs + 27 * 60 * minuteMs; ) {
        const start = startOf(unit, new Date(ms), timeZoneId).getTime();
        const quarter = new Date(ms - (ms % (15 * minuteMs)));
        const isRight =
          start >= last && start <= ms && start === startOf(unit, quarter, timeZoneId).getTime();
        if (!isRight) t.fail(`${unit} of ${new Date(ms).toISOString()} in ${timeZoneId}`);
        last = start;
        ms += ms < changeMs + 180 * minuteMs ? 5 * minuteMs : 60 * minuteMs;
      }
    }
  }
});

test('the largest groups of names and values are listed, and all groups add up to the total', (t) => {
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

test('the text of a counted value is JSON that reads as the value', (t) => {
  for (const value of ['a"', 1.5, true, null, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    t.is(JSON.parse(jsonOf(value)), value);
  }
});

test('a page of hours does not exceed its maximum of hours', (t) => {
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
