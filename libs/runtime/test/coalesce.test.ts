import test from 'ava';
import { coalesce } from '../coalesce.ts';

/** Runs that end when they are told to. */
function openEnded() {
  const runs: { asked: readonly string[]; end: PromiseWithResolvers<string> }[] = [];
  const ask = coalesce((asked: readonly string[]) => {
    const end = Promise.withResolvers<string>();
    runs.push({ asked, end });
    return end.promise;
  });
  const end = async (index: number, how: 'resolve' | 'reject' = 'resolve') => {
    if (how === 'resolve') runs[index]?.end.resolve(`run ${index}`);
    else runs[index]?.end.reject(new Error(`run ${index}`));
    await new Promise(setImmediate);
  };
  return { runs, ask, end };
}

test('the first begins at once; who comes meanwhile shares the run after it', async (t) => {
  const { runs, ask, end } = openEnded();
  const first = ask('a');
  const others = [ask('b'), ask('c')];
  t.deepEqual(
    runs.map(({ asked }) => asked),
    [['a']],
  );
  await end(0);
  t.is(await first, 'run 0');
  t.deepEqual(runs[1]?.asked, ['b', 'c']);
  const late = ask('d');
  await end(1);
  t.deepEqual(await Promise.all(others), ['run 1', 'run 1']);
  t.deepEqual(runs[2]?.asked, ['d']);
  await end(2);
  t.is(await late, 'run 2');
});

test('a run that fails fails those who share it, and nobody else', async (t) => {
  const { runs, ask, end } = openEnded();
  const failing = t.throwsAsync(ask('a'), { message: 'run 0' });
  const next = ask('b');
  await end(0, 'reject');
  await failing;
  await end(1);
  t.is(await next, 'run 1');
  const after = ask('c');
  t.is(runs.length, 3, 'it begins at once, for nothing runs');
  await end(2);
  t.is(await after, 'run 2');
});
