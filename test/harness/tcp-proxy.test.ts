/** The proxy that fault tests place in front of servers disturbs connections as specified. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { eventually } from './eventually.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** A server that sends its name, then echoes every byte. */
async function startEcho(t: ExecutionContext, name = '') {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write(name);
    socket.on('data', (bytes) => {
      socket.write(bytes);
    });
  });
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const stop = async () => {
    if (!server.listening) return;
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
  };
  t.teardown(stop);
  return { port: (server.address() as AddressInfo).port, stop };
}

async function startProxy(t: ExecutionContext, replicas: number[]): Promise<TcpProxy> {
  const proxy = await TcpProxy.start(replicas);
  t.teardown(() => proxy[Symbol.asyncDispose]());
  return proxy;
}

/** A client of a port, and the text that it has received. */
function dial(t: ExecutionContext, port: number) {
  const socket = connect({ host: '127.0.0.1', port });
  t.teardown(() => socket.destroy());
  let received = '';
  let isClosed = false;
  socket.on('data', (bytes) => {
    received += bytes.toString();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    isClosed = true;
  });
  return {
    socket,
    receives: (text: string) =>
      eventually(() => {
        if (received !== text) throw new Error(`received ${JSON.stringify(received)}`);
      }),
    closes: () =>
      eventually(() => {
        if (!isClosed) throw new Error('still open');
      }),
    get isOpen() {
      return !isClosed;
    },
    get received() {
      return received;
    },
  };
}

/**
 * Waits for messages by another path through the same process, which would arrive after the first.
 */
async function roundTrips(t: ExecutionContext, port: number): Promise<void> {
  for (let index = 0; index < 20; index++) {
    const other = dial(t, port);
    other.socket.write('!');
    await other.receives('!');
  }
}

test('bytes pass in both directions, and so does the end of a connection', async (t) => {
  const echo = await startEcho(t);
  const client = dial(t, (await startProxy(t, [echo.port])).port);
  client.socket.write('hello');
  await client.receives('hello');
  await echo.stop();
  await client.closes();
  t.is(client.received, 'hello');
});

test('a cut breaks connections and refuses new ones until it is healed', async (t) => {
  const echo = await startEcho(t);
  const proxy = await startProxy(t, [echo.port]);
  const before = dial(t, proxy.port);
  before.socket.write('a');
  await before.receives('a');
  proxy.disturb({ kind: 'cut' });
  await before.closes();
  const during = dial(t, proxy.port);
  await during.closes();
  t.is(during.received, '');
  proxy.heal();
  const after = dial(t, proxy.port);
  after.socket.write('b');
  await after.receives('b');
});

for (const way of ['toServer', 'toClient'] as const) {
  test(`stalled ${way}: the connection stays open, and waiting bytes arrive late`, async (t) => {
    const echo = await startEcho(t);
    const proxy = await startProxy(t, [echo.port]);
    const client = dial(t, proxy.port);
    client.socket.write('a');
    await client.receives('a');
    proxy.disturb({ kind: 'stalled', ways: [way] });
    client.socket.write('b');
    await roundTrips(t, echo.port);
    t.is(client.received, 'a');
    t.true(client.isOpen);
    proxy.heal();
    await client.receives('ab');
  });
}

test('while stalled, the end of the server is not noticed until the link is healed', async (t) => {
  const echo = await startEcho(t);
  const other = await startEcho(t);
  const proxy = await startProxy(t, [echo.port]);
  const client = dial(t, proxy.port);
  client.socket.write('a');
  await client.receives('a');
  proxy.disturb({ kind: 'stalled', ways: ['toClient'] });
  await echo.stop();
  await roundTrips(t, other.port);
  t.true(client.isOpen);
  proxy.heal();
  await client.closes();
});

test('while slow, everything takes longer by the delay in each direction', async (t) => {
  const echo = await startEcho(t);
  const proxy = await startProxy(t, [echo.port]);
  const client = dial(t, proxy.port);
  client.socket.write('a');
  await client.receives('a');
  const delayMs = 100;
  proxy.disturb({ kind: 'slow', delayMs });
  const startedMs = performance.now();
  client.socket.write('b');
  client.socket.write('c');
  await client.receives('abc');
  // Timers count whole milliseconds, and may fire within the one before.
  t.true(performance.now() - startedMs >= 2 * delayMs - 2);
});

test('connections go to the replicas in turn, skipping one that is dead', async (t) => {
  const a = await startEcho(t, 'a');
  const b = await startEcho(t, 'b');
  const proxy = await startProxy(t, [a.port, b.port]);
  const received: string[] = [];
  for (let index = 0; index < 4; index++) {
    const client = dial(t, proxy.port);
    received.push(
      await eventually(() => {
        if (client.received === '') throw new Error('nothing yet');
        return client.received;
      }),
    );
  }
  t.deepEqual(received, ['a', 'b', 'a', 'b']);
  await a.stop();
  for (let index = 0; index < 2; index++) await dial(t, proxy.port).receives('b');
  await b.stop();
  await dial(t, proxy.port).closes();
});

test('a large transfer passes completely to a reader that begins late', async (t) => {
  const echo = await startEcho(t);
  const proxy = await startProxy(t, [echo.port]);
  const client = dial(t, proxy.port);
  const bytesCount = 4 * 1024 * 1024;
  proxy.disturb({ kind: 'stalled', ways: ['toClient'] });
  client.socket.write(Buffer.alloc(bytesCount, 'x'));
  await roundTrips(t, echo.port);
  t.is(client.received, '');
  proxy.heal();
  await eventually(() => {
    if (client.received.length !== bytesCount)
      throw new Error(`received ${client.received.length} bytes`);
  });
});
