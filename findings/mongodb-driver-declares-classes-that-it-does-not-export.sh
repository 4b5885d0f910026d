#!/usr/bin/env bash
# mongodb 7.9.0 (Node driver) declares 109 classes as exports, such as HostAddress and
# ServerDescription, and 17 of them do not exist at run time. `import { HostAddress } from 'mongodb'`
# compiles, and ends the program when it is loaded. Where types are stripped and not checked by a
# bundler, only a run finds it: import such names as types alone.
#
# Output seen:
#   109 declared, 17 missing: HostAddress, ServerDescription and others
#   import { HostAddress }: SyntaxError
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module"}' > package.json
npm install --silent --no-audit --no-fund mongodb@7.9.0
cat > try.js <<'JS'
import { readFileSync } from 'node:fs';
import * as mongodb from 'mongodb';

const types = readFileSync('node_modules/mongodb/mongodb.d.ts', 'utf8');
const declared = [...types.matchAll(/^export declare (?:abstract )?class (\w+)/gm)].map((found) => found[1]);
const missing = declared.filter((name) => !(name in mongodb));
const some = ['HostAddress', 'ServerDescription'].filter((name) => missing.includes(name));
console.log(`${declared.length} declared, ${missing.length} missing: ${some.join(', ')} and others`);
await import('./import.js').catch(({ name }) => console.log(`import { HostAddress }: ${name}`));
JS
echo "import { HostAddress } from 'mongodb';" > import.js
seen=$(node try.js)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
