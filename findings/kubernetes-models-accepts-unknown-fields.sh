#!/usr/bin/env bash
# `validate()` of kubernetes-models 5.1.0 (npm), whose schemas come from the OpenAPI document of
# Kubernetes, accepts fields that do not exist, as the API server does with a warning: a misspelt
# setting has no effect, unnoticed. Wrong types and missing fields are refused. The TypeScript types of
# the same package refuse the unknown field of a literal.
#
# Output seen:
#   readOnlyRootFileSystem instead of readOnlyRootFilesystem: valid
#   a number as the name: refused
#   the type checker: '"readOnlyRootFileSystem"' does not exist in type 'ISecurityContext'
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module"}' > package.json
npm install --silent --no-audit --no-fund kubernetes-models@5.1.0 typescript@5.9.3
cat > try.js <<'JS'
import { Pod } from 'kubernetes-models/v1/Pod';

const pod = (container) => new Pod({ metadata: { name: 'a' }, spec: { containers: [container] } });
const misspelt = { name: 'a', securityContext: { readOnlyRootFileSystem: true } };
for (const [title, container] of [
  ['readOnlyRootFileSystem instead of readOnlyRootFilesystem', misspelt],
  ['a number as the name', { name: 1 }],
]) {
  try {
    pod(container).validate();
    console.log(`${title}: valid`);
  } catch {
    console.log(`${title}: refused`);
  }
}
JS
cat > literal.ts <<'TS'
import type { IPod } from 'kubernetes-models/v1/Pod';

export const pod: IPod = {
  apiVersion: 'v1',
  kind: 'Pod',
  spec: { containers: [{ name: 'a', securityContext: { "readOnlyRootFileSystem": true } }] },
};
TS
options='--noEmit --strict --skipLibCheck --module nodenext --target es2022'
seen=$(
  node try.js
  printf 'the type checker: '
  npx tsc $options literal.ts | grep -o "'[^ ]*' does not exist in type '[^']*'"
) || true
printf '%s\n' "$seen"
[ "$seen" = "$expected" ]
