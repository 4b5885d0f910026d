import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { certificate } from '../../../test/harness/certificates.ts';
import { run } from '../../../test/harness/command.ts';
import { eventually } from '../../../test/harness/eventually.ts';
import { startTestSilo } from '../../../test/harness/silo.ts';

const root = join(import.meta.dirname, '..', '..', '..');

test('the example in the README runs unchanged, and is short', async (t) => {
  const readme = await readFile(join(import.meta.dirname, '..', 'README.md'), 'utf8');
  const [, example = ''] = /```ts\n(.*?)```/s.exec(readme) ?? [];
  t.true(example.trim().split('\n').length <= 15);

  await using silo = await startTestSilo();
  const ada = await silo.signUp('Ada');
  const { ca, cert, key } = certificate('guard-edge');
  const environment = {
    ORG: silo.addresses.org.internal,
    PROJECT: silo.addresses.project.internal,
    TOKEN: silo.addresses.token.internal,
    NATS: silo.natsUrl,
    ...{ CA: ca, CERT: cert, KEY: key },
  };
  const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const runExample = (token: string) => {
    const node = [process.execPath, '--input-type=module-typescript', '--eval', example];
    // The example is short, so it does not retry if a service does not respond in time.
    return eventually(async () => {
      const ended = await run('env', ['-C', root, ...settings, ...node, 'edge.ts', token]);
      if (ended.output === '') throw new Error(ended.errors);
      return ended;
    });
  };
  const { code, output, errors } = await runExample(ada.projectToken);
  t.deepEqual({ code, output }, { code: 0, output: `writes into ${ada.projectId}\n` }, errors);
  t.is((await runExample('phc_no_token')).output, 'is refused\n');
});
