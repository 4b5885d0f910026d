#!/usr/bin/env node
// The command itself is TypeScript, which Node 24 runs directly.
const nodeMajorMin = 24;

if (Number.parseInt(process.versions.node, 10) < nodeMajorMin) {
  console.error(`error: silo-admin needs Node ${nodeMajorMin}, and this is ${process.version}`);
  console.error('next:  in the repository, npm run and npx use the Node that it brings along');
  process.exit(1);
}
const { main } = await import('./main.ts');
await main(process.argv.slice(2));
