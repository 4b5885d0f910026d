#!/usr/bin/env bash
# ts-proto 2.18.0 with its default options: fromJSON keeps one entry of a map with bool keys, since it
# reads the key texts "true" and "false" both as true. toJSON of a google.protobuf.BytesValue is an
# object of bytes, not base64 text, and fromJSON reads standard base64 text as no bytes at all.
# The binary form of both is right.
#
# Output seen:
#   read from JSON: [[true,"no"]]
#   decoded from bytes: [[true,"yes"],[false,"no"]]
#   wrapped bytes: {"seal":{"0":1,"1":2}}
#   read wrapped bytes: {}
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module"}' > package.json
npm install --silent --no-audit --no-fund ts-proto@2.18.0 @bufbuild/buf@1.75.0 @bufbuild/protobuf@2.17.0 tsx@4.20.6
mkdir proto
cat > proto/try.proto <<'P'
syntax = "proto3";
package try;
import "google/protobuf/wrappers.proto";
message Answer {
  map<bool, string> by_flag = 1;
  google.protobuf.BytesValue seal = 2;
}
P
cat > buf.gen.yaml <<'Y'
version: v2
inputs:
  - directory: proto
plugins:
  - local: ./node_modules/.bin/protoc-gen-ts_proto
    out: gen
    opt: [esModuleInterop=true, outputServices=none]
Y
npx buf generate
cat > try.ts <<'JS'
import { Answer } from './gen/try.ts';

const show = (title: string, value: unknown) => console.log(`${title}: ${JSON.stringify(value)}`);
const json = { byFlag: { true: 'yes', false: 'no' } };
const read = Answer.fromJSON(json);
show('read from JSON', [...read.byFlag]);
const byFlag = new Map([[true, 'yes'], [false, 'no']]);
const bytes = Answer.encode(Answer.create({ byFlag })).finish();
show('decoded from bytes', [...Answer.decode(bytes).byFlag]);
show('wrapped bytes', Answer.toJSON(Answer.create({ seal: new Uint8Array([1, 2]) })));
show('read wrapped bytes', Answer.fromJSON({ seal: 'AQI=' }).seal);
JS
seen=$(npx tsx try.ts)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
