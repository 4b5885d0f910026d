#!/usr/bin/env bash
# posthog-go 1.5.2 sends a batch again that the server refused with 401: ten requests in all, over
# some 33 s, unless the client is closed meanwhile. Other SDKs of the same protocol (posthog-node 5.70.0) drop the batch after one request.
# A capture server pays for a revoked token ten times, so the refusal must cost it little.
#
# Output seen:
#   posthog-go: 10 requests
#   posthog-node: 1 request
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
export GOFLAGS=-mod=mod GOPATH="$folder/go"
cat > go.mod <<'M'
module try
go 1.24
require github.com/posthog/posthog-go v1.5.2
M
cat > main.go <<'G'
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/posthog/posthog-go"
)

type silent struct{}

func (silent) Debugf(string, ...interface{}) {}
func (silent) Logf(string, ...interface{})   {}
func (silent) Warnf(string, ...interface{})  {}
func (silent) Errorf(string, ...interface{}) {}

func main() {
	var count atomic.Int32
	var seen int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		count.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	client, err := posthog.NewWithConfig("phc_example", posthog.Config{Endpoint: server.URL, Logger: silent{}})
	if err != nil {
		panic(err)
	}
	client.Enqueue(posthog.Capture{DistinctId: "somebody", Event: "page viewed"})
	// Close would give the batch up. The SDK waits up to 10 s between two requests.
	for last := time.Now(); time.Since(last) < 15*time.Second; time.Sleep(time.Second) {
		if now := count.Load(); now != seen {
			seen, last = now, time.Now()
		}
	}
	fmt.Printf("posthog-go: %d requests\n", count.Load())
}
G
go run . > seen.txt 2> log || { cat log; exit 1; }
echo '{"type":"module"}' > package.json
npm install --silent --no-audit --no-fund posthog-node@5.70.0
cat > try.js <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:http';
import { PostHog } from 'posthog-node';

let count = 0;
const server = createServer((request, response) => {
  count++;
  request.resume().once('end', () => response.writeHead(401).end());
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const client = new PostHog('phc_example', { host: `http://127.0.0.1:${server.address().port}` });
client.capture({ distinctId: 'somebody', event: 'page viewed' });
await client.shutdown();
console.log(`posthog-node: ${count} request${count > 1 ? 's' : ''}`);
server.close();
JS
node try.js >> seen.txt 2> log
cat seen.txt
[ "$(cat seen.txt)" = "$expected" ]
