#!/usr/bin/env bash
# @grpc/grpc-js 1.14.7: `Server.forceShutdown()` closes the connections of a server, also those with
# open streams. With `'grpc.enable_channelz': 0`, the option that saves the cost of channelz, it closes
# none of them: streams stay open until a keepalive or the client's deadline ends the call, or the
# process exits.
#
# Output seen:
#   with channelz: the stream ended with code 1 when the server was shut down
#   without channelz: the stream ended with code 4, by the client's deadline of 3 s
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
  path: '/try.Try/Watch',
  ...{ requestStream: false, responseStream: true },
  ...{ requestSerialize: text.serialize, requestDeserialize: text.deserialize },
  ...{ responseSerialize: text.serialize, responseDeserialize: text.deserialize },
};
for (const [name, options] of [
  ['with channelz', {}],
  ['without channelz', { 'grpc.enable_channelz': 0 }],
]) {
  const server = new grpc.Server(options);
  server.addService({ watch: method }, { watch: (call) => call.write('first') });
  const port = await new Promise((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const stream = client.makeServerStreamRequest(
    method.path, method.requestSerialize, method.responseDeserialize, 'go', { deadline: Date.now() + 3_000 });
  await once(stream, 'data');
  const ended = once(stream, 'error');
  stream.resume();
  server.forceShutdown();
  const [{ code }] = await ended;
  const how = code === 4 ? ", by the client's deadline of 3 s" : ' when the server was shut down';
  console.log(`${name}: the stream ended with code ${code}${how}`);
  client.close();
}
process.exit(0);
JS
seen=$(node try.js)
echo "$seen"
[ "$seen" = "$expected" ]
