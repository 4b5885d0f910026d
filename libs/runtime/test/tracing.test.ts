import test from 'ava';
import { beginChildSpan, isTracing, traced, tracedEvent, traceHeaders } from '../tracing.ts';

const work = { name: 'work', kind: 'internal' } as const;
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

test('without an SDK nothing is traced, and work runs unchanged', async (t) => {
  t.false(isTracing());
  t.is(beginChildSpan(work), undefined);
  t.is(await traced(work, async () => 1), 1);
  t.is(await tracedEvent({ traceparent }, work, async () => 2), 2);
  const failure = new Error('no');
  t.is(
    await t.throwsAsync(tracedEvent({ traceparent }, work, () => Promise.reject(failure))),
    failure,
  );
  t.deepEqual(traceHeaders(), {});
});
