import { fakeClock } from '@silo/runtime/test/fake-clock.ts';
import test from 'ava';
import { SpareTime } from '../migration/spare-time.ts';

const { signal } = new AbortController();

/**
 * Works for the given time after a last use of the project at the given time. Returns the pauses.
 */
async function pausesAfter(
  workMs: number,
  { sinceUseMs, lagMs }: { sinceUseMs?: number | undefined; lagMs?: number },
): Promise<number[]> {
  const clock = fakeClock();
  const pauses: number[] = [];
  const spare = new SpareTime(clock, async (durationMs) => {
    pauses.push(durationMs);
  });
  if (sinceUseMs !== undefined) {
    spare.noteUse();
    clock.advance(sinceUseMs);
  }
  const beganMs = clock.monotonicMs();
  clock.advance(workMs);
  await spare.pauseAfter({ beganMs, ...(lagMs !== undefined && { lagMs }) }, signal);
  return pauses;
}

test('a copy works for a third of the time while its project is in use, with pauses of 1 s at most', async (t) => {
  const cases: [workMs: number, sinceUseMs: number | undefined, pauses: number[]][] = [
    [100, 0, [200]],
    [100, 1_900, [200]],
    [100, 1_901, []],
    [100, undefined, []],
    [500, 0, [1_000]],
    [1_500, 0, [1_000]],
    [3_000, 0, []],
  ];
  for (const [workMs, sinceUseMs, pauses] of cases) {
    t.deepEqual(await pausesAfter(workMs, { sinceUseMs }), pauses, `${workMs}, ${sinceUseMs}`);
  }
});

test('a copy with a lag of more than 30 s does not pause', async (t) => {
  t.deepEqual(await pausesAfter(100, { sinceUseMs: 0, lagMs: 30_000 }), [200]);
  t.deepEqual(await pausesAfter(100, { sinceUseMs: 0, lagMs: 30_001 }), []);
});
