#!/usr/bin/env bash
# @opentelemetry/api 1.10.0 is loaded twice where one part of a program requires it and another
# imports it. Both copies share the registered SDK, but a tracer that was obtained from one copy
# before an SDK was registered with the other one never records anything. There is no warning.
#
# Output seen (the SDK registers with the copy that is imported):
#   early tracer, imported copy: records
#   early tracer, required copy: records nothing
#   late tracer, required copy: records
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"type":"module"}' > package.json
npm install --silent --no-audit --no-fund @opentelemetry/api@1.10.0
cat > try.js <<'JS'
import { createRequire } from 'node:module';
import { trace as imported } from '@opentelemetry/api';

const { trace: required } = createRequire(import.meta.url)('@opentelemetry/api');
const early = { imported: imported.getTracer('t'), required: required.getTracer('t') };
const started = [];
imported.setGlobalTracerProvider({ getTracer: () => ({ startSpan: (name) => started.push(name) }) });
const show = (what, tracer) => {
  tracer.startSpan(what);
  console.log(`${what}: ${started.includes(what) ? 'records' : 'records nothing'}`);
};
show('early tracer, imported copy', early.imported);
show('early tracer, required copy', early.required);
show('late tracer, required copy', required.getTracer('t'));
JS
actual=$(node try.js)
echo "$actual"
[ "$actual" = "$expected" ]
