import test from 'ava';
import { coalesce } from '../coalesce.ts';

/** Runs that end when the test ends them. */
function openEnded() {
  const runs: { inputs: readonly string[]; end: PromiseWithResolvers<string> }[] = [];
  const request = coalesce((inputs: readonly string[]) => {
    const end = Promise.withResolvers<string>();
    runs.push({ inputs, end });
    return end.promise;
  });
  const end = async (index: number, how: 'resolve' | 'reject' = 'resolve') => {
    if (how === 'resolve') runs[index]?.end.resolve(`run ${index}`);
    else runs[index]?.end.reject(new Error(`run ${index}`));
    await new Promise(setImmediate);
  };
  return { runs, request, end };
}

test('the first request runs at once; requests during a run share the next run', async (t) => {
  const { runs, request, end } = openEnded();
  const first = request('a');
  const others = [request('b'), request('c')];
  t.deepEqual(
    runs.map(({ inputs }) => inputs),
    [['a']],
  );
  await end(0);
  t.is(await first, 'run 0');
  t.deepEqual(runs[1]?.inputs, ['b', 'c']);
  const late = request('d');
  await end(1);
  t.deepEqual(await Promise.all(others), ['run 1', 'run 1']);
  t.deepEqual(runs[2]?.inputs, ['d']);
  await end(2);
  t.is(await late, 'run 2');
});

test('a failed run rejects only the requests that share it', async (t) => {
  const { runs, request, end } = openEnded();
  const failing = t.throwsAsync(request('a'), { message: 'run 0' });
  const next = request('b');
  await end(0, 'reject');
  await failing;
  await end(1);
  t.is(await next, 'run 1');
  const after = request('c');
  t.is(runs.length, 3, 'it starts at once, because no other run is in progress');
  await end(2);
  t.is(await after, 'run 2');
});
