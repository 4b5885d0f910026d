#!/usr/bin/env bash
# Node 24.21.0 (node:http2) with @grpc/grpc-js 1.14.7. A gRPC server that answers before the client has
# finished its upload should request it to stop with RST_STREAM(NO_ERROR) (RFC 9113, section 8.1). If
# `stream.close(NGHTTP2_NO_ERROR)` is called in the same turn as `sendTrailers`, the trailers are lost
# and grpc-js reports INTERNAL. `close` has to wait until they have left: `stream.state.localClose`.
#
# Output seen:
#   close after sendTrailers: INTERNAL, no status received
#   close in process.nextTick: INTERNAL, no status received
#   close when localClose is 1: RESOURCE_EXHAUSTED, the answer of the server
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module","allowScripts":{"node":true}}' > package.json
npm install --silent --no-audit --no-fund node@24.21.0 @grpc/grpc-js@1.14.7
cat > try.js <<'JS'
import { once } from 'node:events';
import { constants, createServer } from 'node:http2';
import grpc from '@grpc/grpc-js';

const stop = (stream) => stream.close(constants.NGHTTP2_NO_ERROR);
const stopWhenSent = (stream) => {
  if (stream.state.localClose === 1) stop(stream);
  else setImmediate(() => stopWhenSent(stream));
};
const ways = {
  'close after sendTrailers': stop,
  'close in process.nextTick': (stream) => process.nextTick(() => stop(stream)),
  'close when localClose is 1': stopWhenSent,
};
const identity = (bytes) => bytes;
for (const [title, close] of Object.entries(ways)) {
  const server = createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    const headers = { ':status': 200, 'content-type': 'application/grpc' };
    stream.respond(headers, { waitForTrailers: true });
    stream.once('wantTrailers', () => {
      stream.sendTrailers({ 'grpc-status': '8', 'grpc-message': 'the answer of the server' });
      close(stream);
    });
    stream.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `127.0.0.1:${server.address().port}`;
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  const call = client.makeClientStreamRequest('/try.Try/Upload', identity, identity, () => {});
  call.on('error', () => {});
  call.write(Buffer.from('begun'));
  const [{ code, details }] = await once(call, 'status');
  const text = details === 'the answer of the server' ? details : 'no status received';
  console.log(`${title}: ${grpc.status[code]}, ${text}`);
  client.close();
  server.close();
}
process.exit();
JS
seen=$(node_modules/.bin/node try.js 2> /dev/null)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
