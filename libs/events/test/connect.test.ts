import { silentLogger } from '@silo/runtime/log.ts';
import test from 'ava';
import { eventually } from '../../../test/harness/eventually.ts';
import { connectNats } from '../connect.ts';
import { ownNatsServer } from './support.ts';

test('a link to a server that is down opens, waits, and closes at once', async (t) => {
  const link = connectNats({ url: 'nats://127.0.0.1:1', name: 'test', log: silentLogger() });
  t.false(link.connected.value);
  const reason = new Error('the caller gave up');
  t.is(await t.throwsAsync(link.ready(AbortSignal.abort(reason))), reason);
  const waiting = link.ready(AbortSignal.timeout(50));
  t.is((await t.throwsAsync(waiting))?.name, 'TimeoutError');
  await link[Symbol.asyncDispose]();
  t.false(link.connected.value);
});

test('a link reports when its server stops and returns, and counts the losses', async (t) => {
  const server = await ownNatsServer(t);
  const link = connectNats({ url: server.url, name: 'test', log: silentLogger() });
  t.teardown(() => link[Symbol.asyncDispose]());
  const states: boolean[] = [];
  using _listening = link.connected.subscribe((isConnected) => states.push(isConnected));
  const becomes = (isConnected: boolean) =>
    eventually(() => {
      if (link.connected.value !== isConnected) throw new Error(`connected: ${!isConnected}`);
    });
  await becomes(true);
  const { losses } = link;
  await server.kill();
  await becomes(false);
  t.true(link.losses > losses);
  await server.start();
  await becomes(true);
  const connection = await link.ready(AbortSignal.timeout(600_000));
  await t.notThrowsAsync(connection.flush());
  t.deepEqual(states, [false, true, false, true]);
});
