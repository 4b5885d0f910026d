import test from 'ava';
import type { CopyProgress } from '../migration/copy-types.ts';
import { progressOf } from '../migration/report-progress.ts';

const kib = 1_024;

/**
 * A copy of 1,000 events of 1 KiB each at 100 events per second, and its progress in the record.
 */
function shown(
  copy: Partial<CopyProgress>,
  known: { eventsTotal?: number; bytesPerSecondMax?: number } = {},
) {
  const counts = {
    ...{ eventsCopied: 1_000, bytesCopied: 1_000 * kib, changesApplied: 0, lagMs: 0 },
    ...{ rangesVerified: 0, rangesRepaired: 0, eventsPerSecond: 100, bytesPerSecond: 100 * kib },
  };
  return progressOf({ ...counts, isScanned: false, ...copy }, known);
}

test('the remaining time of a copy is that of its bytes at the pace of the last seconds', (t) => {
  t.is(shown({}, { eventsTotal: 5_000 }).secondsLeft, 40);
  t.is(shown({ bytesPerSecond: 50 * kib }, { eventsTotal: 5_000 }).secondsLeft, 80);
  t.is(shown({ bytesPerSecond: 0 }, { eventsTotal: 5_000 }).secondsLeft, undefined);
});

test('a limit below the pace determines the remaining time', (t) => {
  const eventsTotal = 5_000;
  t.is(shown({}, { eventsTotal, bytesPerSecondMax: 20 * kib }).secondsLeft, 200);
  t.is(shown({}, { eventsTotal, bytesPerSecondMax: 500 * kib }).secondsLeft, 40);
  t.is(shown({}, { eventsTotal, bytesPerSecondMax: 0 }).secondsLeft, 40, 'no limit');
});

test('the remaining time is unknown if more is copied than was counted, or nothing was counted', (t) => {
  for (const known of [{ eventsTotal: 0 }, { eventsTotal: 999 }, {}]) {
    const progress = shown({}, known);
    t.is(progress.secondsLeft, undefined);
    t.true('secondsLeft' in progress, 'the earlier value is removed');
  }
  const nothing = { eventsCopied: 0, bytesCopied: 0, eventsPerSecond: 0, bytesPerSecond: 0 };
  t.is(shown(nothing, { eventsTotal: 5 }).secondsLeft, undefined);
});

test('after the copy the total is at least the number of copied events, and no time remains', (t) => {
  const scanned = { isScanned: true, bytesPerSecond: 0 };
  t.like(shown(scanned, { eventsTotal: 0 }), { eventsTotal: 1_000, secondsLeft: 0 });
  t.like(shown(scanned, { eventsTotal: 5_000 }), { eventsTotal: 5_000, secondsLeft: 0 });
  t.is(
    shown(scanned).eventsTotal,
    undefined,
    'without a total the number of copied events is not used',
  );
});

test('values that only the estimate needs are not part of the progress', (t) => {
  t.false('bytesPerSecond' in shown({}, { eventsTotal: 5_000 }));
});
