import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { deploymentOf, endpointsIn } from '../deployment.ts';
import { Failure } from '../failure.ts';
import { noProgress } from '../progress.ts';
import { openServer } from '../server.ts';

const directory = await mkdtemp(join(tmpdir(), 'silo-where-'));
test.after.always(() => rm(directory, { recursive: true }));

test('the error for a missing or damaged endpoints file names it and the alternatives', async (t) => {
  await writeFile(join(directory, 'damaged.json'), '{');
  const found = (endpoints: string) => deploymentOf({ endpoints }, { directory, environment: {} });
  const missing = await t.throwsAsync(found('none.json'), { instanceOf: Failure });
  t.is(
    missing?.message,
    `${join(directory, 'none.json')} has no addresses of Silo: there is no such file.`,
  );
  t.is(
    missing?.next,
    '--endpoints with the .silo/endpoints.json of a Silo, or --dev where one runs',
  );
  const damaged = await t.throwsAsync(found('damaged.json'), { instanceOf: Failure });
  t.regex(damaged?.message ?? '', /: it is not a JSON document\.$/);
  t.truthy(damaged?.next);
  await t.throwsAsync(endpointsIn(join(directory, 'none.json')), {
    message: 'there is no such file',
  });
});

test('the error for a missing certificate names its file and the way to set another', (t) => {
  const ca = join(directory, 'ca.pem');
  const patience = {
    ...{ signal: new AbortController().signal, requestId: undefined, progress: noProgress },
  };
  const port = { service: 'org', address: '127.0.0.1:1', tls: { ca } } as const;
  const failure = t.throws(() => openServer(port, patience), { instanceOf: Failure });
  t.is(failure?.message, `There is no certificate at ${ca}.`);
  t.is(failure?.next, 'put it back, or silo login with --ca FILE and the addresses, or with --dev');
});
