#!/usr/bin/env bash
# posthog-node 5.70.0 follows a 302 of its batch endpoint with a GET that has no body, and takes the
# answer to that GET for the delivery of the batch: the events are lost and flush() resolves.
# A capture server must never redirect, not even from /batch to /batch/.
#
# Output seen:
#   POST /batch/ with a body
#   GET /elsewhere without a body
#   flush resolved
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
import { PostHog } from 'posthog-node';

const server = createServer(async (request, response) => {
  let size = 0;
  for await (const chunk of request) size += chunk.length;
  console.log(`${request.method} ${request.url} ${size > 0 ? 'with' : 'without'} a body`);
  if (request.url === '/elsewhere') response.end('{}');
  else response.writeHead(302, { location: '/elsewhere' }).end();
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const client = new PostHog('phc_example', { host: `http://127.0.0.1:${server.address().port}` });
client.capture({ distinctId: 'somebody', event: 'page viewed' });
await client.flush().then(() => console.log('flush resolved'), () => console.log('flush rejected'));
await client.shutdown();
server.close();
server.closeAllConnections();
JS
seen=$(node try.js)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
