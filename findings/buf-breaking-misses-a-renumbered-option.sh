#!/usr/bin/env bash
# buf 1.75.0: `buf breaking` accepts that a custom option changes its field number, in every category
# (WIRE, WIRE_JSON, PACKAGE, FILE), although each option that an older image carries then reads as
# an unknown field: a server that authorizes by a method option would read none.
# The same change of a message's field is refused.
#
# Output seen:
#   WIRE: option accepted, field refused
#   WIRE_JSON: option accepted, field refused
#   PACKAGE: option accepted, field refused
#   FILE: option accepted, field refused
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module"}' > package.json
npm install --silent --no-audit --no-fund @bufbuild/buf@1.75.0

# write FOLDER OPTION_NUMBER FIELD_NUMBER
write() {
  mkdir -p "$1"
  cat > "$1/try.proto" <<P
syntax = "proto3";
package try.v1;
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions {
  string scope = $2;
}
message Request {
  string id = $3;
}
service Things {
  rpc Get(Request) returns (Request) {
    option (scope) = "read";
  }
}
P
}
write old 50001 1
write option 50002 1
write field 50001 2
for version in old option field; do npx buf build "$version" -o "$version.binpb"; done
verdict() {
  if npx buf breaking "$1.binpb" --against old.binpb --config "$2" > /dev/null 2>&1; then echo accepted; else echo refused; fi
}
seen=$(for category in WIRE WIRE_JSON PACKAGE FILE; do
  config="{\"version\":\"v2\",\"breaking\":{\"use\":[\"$category\"]}}"
  echo "$category: option $(verdict option "$config"), field $(verdict field "$config")"
done)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
