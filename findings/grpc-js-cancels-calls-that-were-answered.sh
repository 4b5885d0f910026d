#!/usr/bin/env bash
# @grpc/grpc-js 1.14.7: a server's unary call emits `cancelled`, and `call.cancelled` is true, also
# where the handler has answered and the client has the answer with status OK. A handler that ends its
# work on that event, or counts it, takes every call for a cancelled one.
#
# Output seen:
#   answered: client got "pong"; server: cancelled emitted, call.cancelled true
#   refused: client got code 5; server: cancelled emitted, call.cancelled true
#   cancelled by the client: client got code 1; server: cancelled emitted, call.cancelled true
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module"}' > package.json
npm install --silent --no-audit --no-fund @grpc/grpc-js@1.14.7
cat > try.js <<'JS'
import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';

const text = { serialize: (value) => Buffer.from(value), deserialize: String };
const method = {
  path: '/try.Try/Call',
  ...{ requestStream: false, responseStream: false },
  ...{ requestSerialize: text.serialize, requestDeserialize: text.deserialize },
  ...{ responseSerialize: text.serialize, responseDeserialize: text.deserialize },
};
const calls = [];
const server = new grpc.Server();
server.addService({ call: method }, {
  call: (call, callback) => {
    calls.push({ call, cancelled: once(call, 'cancelled') });
    if (call.request === 'answer') callback(null, 'pong');
    if (call.request === 'refuse') callback({ code: grpc.status.NOT_FOUND });
    started?.();
  },
});
let started;
const port = await new Promise((resolve, reject) =>
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
    error ? reject(error) : resolve(bound),
  ),
);
const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
function send(request) {
  const { serialize, deserialize } = text;
  let call;
  const got = new Promise((resolve) => {
    call = client.makeUnaryRequest(method.path, serialize, deserialize, request, (error, value) =>
      resolve(error ? `code ${error.code}` : `"${value}"`),
    );
  });
  return { call, got };
}
async function show(title, got) {
  const { call, cancelled } = calls.pop();
  const late = new Promise((resolve) => setTimeout(resolve, 5_000, 'not emitted').unref());
  const emitted = await Promise.race([cancelled.then(() => 'emitted'), late]);
  console.log(`${title}: client got ${got}; server: cancelled ${emitted}, call.cancelled ${call.cancelled}`);
}
await show('answered', await send('answer').got);
await show('refused', await send('refuse').got);
const begun = new Promise((resolve) => {
  started = resolve;
});
const waiting = send('wait');
await begun;
waiting.call.cancel();
await show('cancelled by the client', await waiting.got);
process.exit();
JS
seen=$(node try.js)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
