import { once } from 'node:events';
import {
  connect,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { answerEarly } from '../answered-stream.ts';

test('an early answer arrives, and a later answer of the handler is dropped', async (t) => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.teardown(() => {
    client.destroy();
    server.close();
  });
  const answered = once(server, 'stream').then(([stream]: ServerHttp2Stream[]) => {
    if (stream === undefined) throw new TypeError('no stream');
    answerEarly(stream, { ':status': 200, 'grpc-status': 8 });
    t.notThrows(() => stream.respond({ ':status': 200, 'grpc-status': 0 }, { endStream: true }));
  });
  const upload = client.request(
    { ':method': 'POST', ':path': '/unfinished' },
    { endStream: false },
  );
  upload.write('begun');
  const closed = once(upload, 'close');
  const [headers]: IncomingHttpHeaders[] = await once(upload, 'response');
  upload.resume();
  await Promise.all([answered, closed]);
  t.is(Number(headers?.['grpc-status']), 8);
});
