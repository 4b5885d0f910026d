// Runs before `npm start`, `npm run demo` and `npm test`, on any Node (20 or newer) and before
// anything is installed: it may only use modules of Node itself.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = resolve(process.argv[2] ?? fileURLToPath(new URL('../..', import.meta.url)));
const installedLock = join(repository, 'node_modules', '.package-lock.json');
// The one package whose install script must have run: it contains the Node that runs TypeScript.
const installedNode = join(repository, 'node_modules', '.bin', 'node');
const generated = join(repository, 'libs', 'protos', 'gen');
const generatedFrom = join(generated, '.generated-from');

const missing = whatIsNotInstalled();
if (missing) {
  console.log(`npm ci: ${missing}`);
  // With NODE_ENV=production, npm would leave out the packages that generate code. The log level
  // hides warnings about packages that need a newer Node than the present one: they run on the Node
  // that is being installed.
  runNpm(['ci', '--include=dev', '--loglevel=error', '--no-audit', '--no-fund']);
  if (!existsSync(installedNode)) {
    fail('npm ci did not install Node itself: allow the install script of the package "node"');
  }
}

const inputs = hashOfInputs();
if (readText(generatedFrom) !== inputs) {
  console.log('npm run generate: libs/protos/gen does not match the protos');
  runNpm(['run', 'generate', '--silent']);
  mkdirSync(generated, { recursive: true });
  writeFileSync(generatedFrom, inputs);
}

/** How node_modules differs from package-lock.json; undefined if it does not. */
function whatIsNotInstalled() {
  const text = readText(installedLock);
  if (text === undefined) return 'nothing is installed yet';
  if (!existsSync(installedNode)) return 'the Node of node_modules is missing';
  const wanted = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(text).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = installed[path];
    // npm leaves out the optional packages of other platforms.
    if (!found && entry.optional) continue;
    if (!found) return `${path} is missing`;
    // `resolved` is compared only for links: machines may fetch packages from different places.
    for (const key of entry.link ? ['resolved'] : ['version', 'integrity']) {
      if (entry[key] !== undefined && found[key] !== entry[key])
        return `${path} has a different ${key}`;
    }
  }
  const surplus = Object.keys(installed).find((path) => !(path in wanted));
  return surplus && `${surplus} is no longer wanted`;
}

/** A hash of everything that the generated code depends on. */
function hashOfInputs() {
  const hash = createHash('sha256');
  const files = [
    ...listFiles(join(repository, 'protos')),
    ...listFiles(join(repository, 'libs', 'protos')).filter((file) => !file.startsWith(generated)),
    ...['buf.yaml', 'buf.gen.yaml', 'package-lock.json'].map((name) => join(repository, name)),
  ];
  for (const file of files) hash.update(`${file.slice(repository.length)}\0${readText(file)}\0`);
  return hash.digest('hex');
}

/** The files below a directory, in a fixed order. */
function listFiles(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.split(/[\\/]/).includes('node_modules'))
    .map((name) => join(directory, name))
    .filter((file) => statSync(file).isFile())
    .sort();
}

/** Runs npm without node_modules on PATH, because `npm ci` removes that directory while it runs. */
function runNpm(args) {
  const path = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((directory) => !directory.endsWith(join('node_modules', '.bin')))
    .join(delimiter);
  const { status, error } = spawnSync('npm', args, {
    cwd: repository,
    env: { ...process.env, PATH: path },
    stdio: 'inherit',
  });
  if (error) fail(`npm ${args.join(' ')}: ${error.message}`);
  if (status !== 0) fail(`npm ${args.join(' ')} ended with ${status}`);
}

function readText(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
