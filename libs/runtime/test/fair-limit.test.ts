import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { fairLimit } from '../fair-limit.ts';

/** Tasks that end when the test ends them. */
function openEnded() {
  const runs: { name: string; end: PromiseWithResolvers<string> }[] = [];
  const limited = fairLimit({ atOnce: 4, ofOwner: 2, waitingOfOwner: 3 });
  const never = new AbortController().signal;
  const submit = (name: string, signal = never) =>
    limited({ owner: name.slice(0, 1), signal }, () => {
      const end = Promise.withResolvers<string>();
      runs.push({ name, end });
      return end.promise;
    });
  const begun = () => runs.map(({ name }) => name).join(' ');
  const end = (name: string) => runs.find((run) => run.name === name)?.end.resolve(name);
  return { submit, begun, end };
}

test('an owner has a limited share of the places, even if no other owner wants any', async (t) => {
  const { submit, begun, end } = openEnded();
  const [first] = ['a1', 'a2', 'a3', 'a4'].map((name) => submit(name));
  t.is(begun(), 'a1 a2');
  end('a1');
  t.is(await first, 'a1');
  await setImmediate();
  t.is(begun(), 'a1 a2 a3');
});

test('waiting owners take turns, however many tasks one of them has', async (t) => {
  const { submit, begun, end } = openEnded();
  const submitted = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'b3', 'c1', 'b4', 'd1'].map((name) =>
    submit(name),
  );
  t.is(begun(), 'a1 a2 b1 b2');
  for (const [index, name] of [
    [0, 'a1'],
    [4, 'b1'],
    [1, 'a2'],
  ] as const) {
    end(name);
    t.is(await submitted[index], name);
    await setImmediate();
  }
  t.is(begun(), 'a1 a2 b1 b2 a3 b3 c1');
});

test('a task whose signal aborts leaves the queue', async (t) => {
  const { submit, begun, end } = openEnded();
  const gone = new AbortController();
  const [first] = ['a1', 'a2'].map((name) => submit(name));
  const waiting = submit('a3', gone.signal);
  const behind = submit('a4');
  gone.abort(new Error('gone'));
  await t.throwsAsync(waiting, { message: 'gone' });
  end('a1');
  await first;
  await setImmediate();
  t.is(begun(), 'a1 a2 a4');
  end('a4');
  t.is(await behind, 'a4');
});

test('an owner with too many waiting tasks is refused another, and other owners are not', async (t) => {
  const { submit, begun } = openEnded();
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) void submit(name);
  await t.throwsAsync(submit('a6'), { instanceOf: RangeError });
  void submit('b1');
  t.is(begun(), 'a1 a2 b1');
});

test('a failed task also frees its place', async (t) => {
  const limited = fairLimit({ atOnce: 1, ofOwner: 1, waitingOfOwner: 1 });
  const { signal } = new AbortController();
  const fail = async () => Promise.reject(new Error('A'));
  await t.throwsAsync(limited({ owner: 'a', signal }, fail), { message: 'A' });
  t.is(await limited({ owner: 'a', signal }, async () => 'B'), 'B');
});
