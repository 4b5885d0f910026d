import test from 'ava';
import { reflectionSlots } from '../limits.ts';
import { ReflectionSlots } from '../reflection-slots.ts';

const { max, holdMs } = reflectionSlots;

/** Takes slots for addresses in this order; returns the addresses whose streams were ended. */
function hold(slots: ReflectionSlots, networks: readonly string[]): string[] {
  const ended: string[] = [];
  for (const network of networks) slots.take(network, 0, () => ended.push(network));
  return ended;
}

test('an address that holds all slots gets no more, and loses some to newcomers until shares are fair', (t) => {
  const slots = new ReflectionSlots();
  const ended = hold(
    slots,
    Array.from({ length: max }, () => 'greedy'),
  );
  t.is(
    slots.take('greedy', 1, () => {}),
    undefined,
  );
  let taken = 0;
  while (slots.take('other', 1, () => {}) !== undefined) taken++;
  t.is(taken, max / 2);
  t.is(ended.length, max / 2);
});

test('a slot that was held for long goes to the next stream', (t) => {
  const slots = new ReflectionSlots();
  const networks = Array.from({ length: max }, (_, index) => `192.0.2.${index}`);
  const ended = hold(slots, networks);
  const take = (atMs: number) => slots.take('newcomer', atMs, () => {});
  t.is(take(holdMs - 1), undefined);
  t.not(take(holdMs), undefined);
  t.deepEqual(ended, networks.slice(0, 1));
});

test('a slot that is given back is free; giving it back again frees no other slot', (t) => {
  const slots = new ReflectionSlots();
  hold(
    slots,
    Array.from({ length: max - 1 }, () => 'greedy'),
  );
  const release = slots.take('greedy', 0, () => {});
  release?.();
  release?.();
  t.not(
    slots.take('greedy', 0, () => {}),
    undefined,
  );
  t.is(
    slots.take('greedy', 0, () => {}),
    undefined,
  );
});
