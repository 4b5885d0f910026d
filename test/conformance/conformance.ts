/**
 * `npm run conformance -- PROGRAM [ARGUMENT ...]`: tests a guard in any language against the rules
 * of docs/guard-protocol.md, each with its own deployment and process. The last line is `N rules, V
 * violations`, and the exit code is 1 if V > 0.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueCertificate, openCertificateAuthority } from '@silo/embedded/certificates.ts';
import { startNatsServer } from '@silo/embedded/nats-server.ts';
import { obtain } from '@silo/embedded/obtain.ts';
import { cases } from './cases.ts';
import type { Command } from './guard-under-test.ts';
import { runCase } from './run-case.ts';

const [program, ...args] = process.argv.slice(2);
if (program === undefined) {
  console.error('npm run conformance -- PROGRAM [ARGUMENT ...]');
  process.exitCode = 2;
} else {
  process.exitCode = (await violationsOf([program, ...args])) > 0 ? 1 : 0;
}

async function violationsOf(command: Command): Promise<number> {
  await using opened = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'silo-conformance-'));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  const { path: binary } = await obtain('nats-server', { log: console.log });
  const nats = opened.use(await startNatsServer({ binary, directory: join(directory, 'nats') }));
  const authority = await openCertificateAuthority(join(directory, 'certificates'), {
    region: 'us',
  });
  const issue = async (role: 'service' | 'guard', name: string) => {
    const { certificate, key } = await issueCertificate(authority, { role, name });
    return { ca: authority.certificateFile, cert: certificate, key };
  };
  const certificates = {
    service: await issue('service', 'token'),
    guard: await issue('guard', 'edge'),
  };
  let violations = 0;
  for (const each of cases) {
    const broken = await runCase(each, { natsUrl: nats.url, certificates, command }).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    console.log(broken === undefined ? `kept    ${each.rule}` : `BROKEN  ${each.rule}: ${broken}`);
    if (broken !== undefined) violations++;
  }
  console.log(`${cases.length} rules, ${violations} violations`);
  return violations;
}
