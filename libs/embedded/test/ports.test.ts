import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { freePort } from '../ports.ts';

const portsPerProcess = 200;

const choose = `
  import { freePort } from ${JSON.stringify(new URL('../ports.ts', import.meta.url).href)};
  const ports = [];
  while (ports.length < ${portsPerProcess}) ports.push(await freePort());
  console.log(JSON.stringify(ports));
`;

test('a port is given to only one of the living processes', async (t) => {
  const own: number[] = [];
  while (own.length < portsPerProcess) own.push(await freePort());
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', choose]);
  const others: number[] = JSON.parse(stdout);
  t.is(new Set([...own, ...others]).size, 2 * portsPerProcess);
});
