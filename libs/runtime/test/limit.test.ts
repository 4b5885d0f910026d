import test from 'ava';
import { limit } from '../limit.ts';

/** Tasks that end when the test ends them. */
function openEnded() {
  const runs: { name: string; end: PromiseWithResolvers<string> }[] = [];
  const limited = limit({ atOnce: 2, waitingMax: 2 });
  const submit = (name: string) =>
    limited(() => {
      const end = Promise.withResolvers<string>();
      runs.push({ name, end });
      return end.promise;
    });
  const begun = () => runs.map(({ name }) => name).join('');
  return { runs, submit, begun };
}

test('at most `atOnce` tasks run at a time; the others follow in order', async (t) => {
  const { runs, submit, begun } = openEnded();
  const submitted = ['a', 'b', 'c', 'd'].map(submit);
  t.is(begun(), 'ab');
  runs[1]?.end.resolve('B');
  t.is(await submitted[1], 'B');
  t.is(begun(), 'abc');
  runs[0]?.end.resolve('A');
  t.is(await submitted[0], 'A');
  t.is(begun(), 'abcd');
});

test('a failed task also frees its place', async (t) => {
  const { runs, submit, begun } = openEnded();
  const [first] = ['a', 'b', 'c'].map(submit);
  runs[0]?.end.reject(new Error('A'));
  await t.throwsAsync(async () => await first, { message: 'A' });
  t.is(begun(), 'abc');
});

test('a task is rejected while too many wait, and may be submitted again', async (t) => {
  const { runs, submit, begun } = openEnded();
  const [first] = ['a', 'b', 'c', 'd'].map(submit);
  await t.throwsAsync(submit('e'), { instanceOf: RangeError });
  runs[0]?.end.resolve('A');
  await first;
  void submit('f');
  runs[1]?.end.resolve('B');
  runs[2]?.end.resolve('C');
  await new Promise(setImmediate);
  t.is(begun(), 'abcdf');
});
