import { fakeClock } from '@silo/runtime/test/fake-clock.ts';
import test from 'ava';
import { Rate } from '../migration/rate.ts';

const { signal } = new AbortController();

/** A rate whose pauses pass immediately. */
function open(onPause: (rate: Rate) => void = () => {}) {
  const clock = fakeClock();
  const pauses: number[] = [];
  const rate = new Rate(clock, async (durationMs) => {
    pauses.push(durationMs);
    clock.advance(durationMs);
    onPause(rate);
  });
  return { clock, rate, pauses };
}

test('a copy with a rate pauses until the bytes that it has read are within the rate', async (t) => {
  const { clock, rate, pauses } = open();
  rate.set(1_000);
  await rate.spend(200, signal);
  t.deepEqual(pauses.splice(0), [200]);
  await rate.spend(1_200, signal);
  t.deepEqual(pauses.splice(0), [500, 500, 200]);
  // Time without reading earns no credit.
  clock.advance(60_000);
  await rate.spend(300, signal);
  t.deepEqual(pauses, [300]);
});

test('a copy without a rate does not pause, and one that loses its rate stops pausing', async (t) => {
  const { rate, pauses } = open((limited) => limited.set(0));
  await rate.spend(1_000_000, signal);
  t.deepEqual(pauses, []);
  rate.set(1);
  await rate.spend(1_000_000, signal);
  t.deepEqual(pauses, [500]);
});
