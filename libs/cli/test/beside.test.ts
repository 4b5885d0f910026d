import test from 'ava';
import { beside } from '../beside.ts';
import { Interrupted } from '../failure.ts';

/** A read that never ends by itself. */
function hanging(signal: AbortSignal): Promise<string> {
  return new Promise((_, reject) => {
    const end = () => reject(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
  });
}

const signal = new AbortController().signal;

test('the result is what was read, if the read succeeds', async (t) => {
  t.is(await beside(async () => 'some', 'none', { signal }), 'some');
});

test('a failed read does not fail the command', async (t) => {
  const read = async () => {
    throw new Error('refused');
  };
  t.is(await beside(read, 'none', { signal }), 'none');
});

test('at the deadline the command continues without the result', async (t) => {
  const deadline = new AbortController();
  const read = beside(hanging, 'none', { signal, deadline: deadline.signal });
  deadline.abort();
  t.is(await read, 'none');
});

test('a signal to the command ends the read', async (t) => {
  const ended = new AbortController();
  const read = beside(hanging, 'none', { signal: ended.signal });
  ended.abort(new Interrupted('SIGINT'));
  await t.throwsAsync(read, { instanceOf: Interrupted });
});
