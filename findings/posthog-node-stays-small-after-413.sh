#!/usr/bin/env bash
# posthog-node 5.70.0 halves its batches after one 413 answer and never lets them grow again: one
# refusal costs every later flush of the process twice the requests, or more. A single event that
# is answered 413 is dropped.
#
# Output seen (events per accepted request of each flush of 40 events):
#   before: 40
#   refused once, then: 20 20
#   later flush: 20 20
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module"}' > package.json
npm install --silent --no-audit --no-fund posthog-node@5.70.0
cat > try.js <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { PostHog } from 'posthog-node';

let refuseNext = false;
let accepted = [];
const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  if (refuseNext) {
    refuseNext = false;
    response.writeHead(413).end();
    return;
  }
  const body = Buffer.concat(chunks);
  const text = body[0] === 0x1f ? gunzipSync(body) : body;
  accepted.push(JSON.parse(text).batch.length);
  response.end('{}');
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const host = `http://127.0.0.1:${server.address().port}`;
const client = new PostHog('phc_example', { host, flushAt: 1000, flushInterval: 0 });

async function flush(title) {
  accepted = [];
  for (let i = 0; i < 40; i++) client.capture({ distinctId: 'somebody', event: 'page viewed' });
  await client.flush();
  console.log(`${title}: ${accepted.join(' ')}`);
}
await flush('before');
refuseNext = true;
await flush('refused once, then');
await flush('later flush');
await client.shutdown();
server.close();
server.closeAllConnections();
JS
seen=$(node try.js)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
