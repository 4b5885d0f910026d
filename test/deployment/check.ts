// Runs for `npm run check:deployment`: checks docker-compose.yml against the schema of the compose
// specification, and the Dockerfile with hadolint.
import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeWorkDirectory, storeCached, verifyCached } from '@silo/embedded/binary-cache.ts';
import { downloadWheel } from '@silo/embedded/downloads.ts';
import { obtain } from '@silo/embedded/obtain.ts';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parseCompose, repository } from './compose.ts';

const cacheDirectory = join(homedir(), '.cache', 'silo');
/** The package that contains the schema of the compose specification. */
const schemaVersion = { text: '0.39.0', numbers: [0, 39, 0] };
const schemaName = 'compose-spec.json';

const faults = (await Promise.all([composeFaults(), dockerfileFaults()])).flat();
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;

async function composeFaults(): Promise<string[]> {
  // The schema uses compose's own formats, and `x-` keys that are only for its authors.
  const ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);
  for (const format of ['ports', 'expose', 'duration', 'subnet_ip_address'])
    ajv.addFormat(format, true);
  const isValid = ajv.compile(JSON.parse(await readFile(await obtainSchema(), 'utf8')));
  if (isValid(parseCompose())) return [];
  return (isValid.errors ?? []).map(
    ({ instancePath, message, params }) =>
      `docker-compose.yml: ${instancePath} ${message}: ${JSON.stringify(params)}`,
  );
}

async function obtainSchema(): Promise<string> {
  const path = join(cacheDirectory, schemaName, schemaVersion.text, schemaName);
  const isThere = await verifyCached({ path, version: schemaVersion }).then(
    () => true,
    () => false,
  );
  if (isThere) return path;
  const directory = await makeWorkDirectory(cacheDirectory, schemaName);
  try {
    const download = downloadWheel(`check-jsonschema==${schemaVersion.text}`);
    const file = await download({ directory, fileName: schemaName, environment: process.env });
    return (await storeCached(cacheDirectory, schemaName, schemaVersion, file)).path;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function dockerfileFaults(): Promise<string[]> {
  // Its messages matter only if it fails.
  const { path } = await obtain('hadolint', { log: () => {} });
  try {
    await promisify(execFile)(path, ['Dockerfile'], { cwd: repository });
    return [];
  } catch (error) {
    if (error instanceof Error && 'stdout' in error && error.stdout) return [String(error.stdout)];
    throw error;
  }
}
