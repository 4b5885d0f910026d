import test from 'ava';
import { beside } from '../beside.ts';
import { Interrupted } from '../failure.ts';

/** An answer that never comes. */
function hanging(signal: AbortSignal): Promise<string> {
  return new Promise((_, reject) => {
    const end = () => reject(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
  });
}

const signal = new AbortController().signal;

test('what is read beside something else is the answer, where there is one', async (t) => {
  t.is(await beside(async () => 'some', 'none', { signal }), 'some');
});

test('a failure is no failure of the command', async (t) => {
  const read = async () => {
    throw new Error('refused');
  };
  t.is(await beside(read, 'none', { signal }), 'none');
});

test('at the deadline the command goes on without the answer', async (t) => {
  const deadline = new AbortController();
  const read = beside(hanging, 'none', { signal, deadline: deadline.signal });
  deadline.abort();
  t.is(await read, 'none');
});

test('a signal to the command ends it', async (t) => {
  const ended = new AbortController();
  const read = beside(hanging, 'none', { signal: ended.signal });
  ended.abort(new Interrupted('SIGINT'));
  await t.throwsAsync(read, { instanceOf: Interrupted });
});
