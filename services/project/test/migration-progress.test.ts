import test from 'ava';
import type { CopyProgress } from '../migration/copy-types.ts';
import { progressOf } from '../migration/report-progress.ts';

const kib = 1_024;

/** A copy of 1,000 events of 1 KiB each, at 100 events a second, and what its record says of it. */
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

test('the time left of a copy is that of its bytes at the pace of the last seconds', (t) => {
  t.is(shown({}, { eventsTotal: 5_000 }).secondsLeft, 40);
  t.is(shown({ bytesPerSecond: 50 * kib }, { eventsTotal: 5_000 }).secondsLeft, 80);
  t.is(shown({ bytesPerSecond: 0 }, { eventsTotal: 5_000 }).secondsLeft, undefined);
});

test('a limit that is lower than the pace is what the time left goes by', (t) => {
  const eventsTotal = 5_000;
  t.is(shown({}, { eventsTotal, bytesPerSecondMax: 20 * kib }).secondsLeft, 200);
  t.is(shown({}, { eventsTotal, bytesPerSecondMax: 500 * kib }).secondsLeft, 40);
  t.is(shown({}, { eventsTotal, bytesPerSecondMax: 0 }).secondsLeft, 40, 'no limit');
});

test('the time left is unknown where more is copied than was counted, or nothing was', (t) => {
  for (const known of [{ eventsTotal: 0 }, { eventsTotal: 999 }, {}]) {
    const progress = shown({}, known);
    t.is(progress.secondsLeft, undefined);
    t.true('secondsLeft' in progress, 'what was known before is forgotten');
  }
  const nothing = { eventsCopied: 0, bytesCopied: 0, eventsPerSecond: 0, bytesPerSecond: 0 };
  t.is(shown(nothing, { eventsTotal: 5 }).secondsLeft, undefined);
});

test('once all is copied the total is not less than that, and no time is left', (t) => {
  const scanned = { isScanned: true, bytesPerSecond: 0 };
  t.like(shown(scanned, { eventsTotal: 0 }), { eventsTotal: 1_000, secondsLeft: 0 });
  t.like(shown(scanned, { eventsTotal: 5_000 }), { eventsTotal: 5_000, secondsLeft: 0 });
  t.is(shown(scanned).eventsTotal, undefined, 'where events are compared it is not all of them');
});

test('what only the estimate needs is no part of the progress', (t) => {
  t.false('bytesPerSecond' in shown({}, { eventsTotal: 5_000 }));
});
