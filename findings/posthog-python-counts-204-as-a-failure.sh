#!/usr/bin/env bash
# posthog 7.91.1 (Python) sends a batch again when the server answers 204 No Content, the natural
# response of a capture endpoint. After four requests it gives up and the event is lost.
# It accepts only 200 with an empty JSON object as success.
#
# Output seen:
#   200: 1 request
#   204: 4 requests
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check posthog==7.91.1
cat > "$folder/try.py" <<'PY'
import logging, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from posthog import Posthog

logging.disable(logging.CRITICAL)

def requests_for(status):
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            seen.append(self.path)
            self.send_response(status)
            if status == 200:
                self.send_header("content-length", "2")
            self.end_headers()
            if status == 200:
                self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = Posthog("phc_example", host=f"http://127.0.0.1:{server.server_port}")
    client.capture("page viewed", distinct_id="somebody")
    client.shutdown()
    server.shutdown()
    return len(seen)

for status in (200, 204):
    count = requests_for(status)
    print(f"{status}: {count} request{'s' if count > 1 else ''}")
PY
seen=$("$folder/venv/bin/python" "$folder/try.py")
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
