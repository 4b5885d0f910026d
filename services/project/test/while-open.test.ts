import { silentLogger } from '@silo/runtime/log.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { whileOpen } from '../loops/while-open.ts';

test('the loops run while a migration is open, and start again with the next one', async (t) => {
  const stop = new AbortController();
  let isOpen = false;
  let running = 0;
  let begun = 0;
  const loop = async (signal: AbortSignal) => {
    begun++;
    running++;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    running--;
  };
  const until = (count: number) =>
    eventually(() => {
      if (running !== count) throw new Error(`${running} run`);
    });
  let looks = 0;
  let isDown = false;
  const dependencies = {
    untilOpen: async () => {},
    hasOpen: async () => {
      looks++;
      if (isDown) throw new Error('not now');
      return isOpen;
    },
    ...{ log: silentLogger(), lookMs: 1 },
  };
  const ended = whileOpen(dependencies, [loop, loop], stop.signal);
  await eventually(() => {
    if (looks === 0) throw new Error('no check yet');
  });
  t.is(begun, 0);
  isOpen = true;
  await until(2);
  isOpen = false;
  await until(0);
  isOpen = true;
  await until(2);
  t.is(begun, 4);
  isDown = true;
  const before = looks;
  await eventually(() => {
    if (looks < before + 3) throw new Error('no further checks yet');
  });
  t.is(running, 2, 'a failed check stops nothing');
  stop.abort();
  await ended;
  t.is(running, 0);
});
