/**
 * `npm run generate`: generates the ts-proto stubs and the images that reflection and authorization
 * read at run time, and checks that every method has an access rule and that the rules of its
 * request compile. The output is not committed.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create } from '@bufbuild/protobuf';
import { createValidator } from '@bufbuild/protovalidate';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const generated = join(root, 'libs/protos/gen');
const buf = join(root, 'node_modules/.bin/buf');

rmSync(generated, { recursive: true, force: true });
mkdirSync(generated, { recursive: true });
execFileSync(buf, ['generate'], { cwd: root, stdio: 'inherit', timeout: 120_000 });
const images = [
  ['-o', join(generated, 'commented-image.binpb')],
  ['--exclude-source-info', '-o', join(generated, 'image.binpb')],
];
for (const options of images) {
  execFileSync(buf, ['build', ...options], { cwd: root, stdio: 'inherit', timeout: 120_000 });
}

// Imported here because it imports the generated code.
const { authorizationOf, loadImage, siloMethods } = await import('./image.ts');
const missing = siloMethods(loadImage()).filter(
  ({ method }) => authorizationOf(loadImage(), method) === undefined,
);
if (missing.length > 0) {
  console.error('These methods lack the option (silo.common.v1.authorization):');
  for (const { path } of missing) console.error(`  ${path}`);
  process.exit(1);
}

// A service compiles a method's rules at the method's first call.
const { types } = loadImage();
const validator = createValidator({ registry: types });
for (const { path, method } of siloMethods(loadImage())) {
  const { kind, error } = validator.validate(method.input, create(method.input));
  if (kind !== 'error') continue;
  console.error(`The rules of ${path} do not compile: ${error.message}`);
  process.exit(1);
}
