import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type MadeCertificate, makeAuthority, makeLeaf } from '@silo/embedded/make-certificate.ts';
import { EventLogServiceClient } from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import test, { type ExecutionContext } from 'ava';
import { eventually, untilIs } from '../../../test/harness/eventually.ts';
import { createChannel } from '../client.ts';
import { FollowedTls, type TlsFiles } from '../tls.ts';
import { channelTo, connect, eventLogService, keptLog, outcomeOf, serve } from './support.ts';

const intervalMs = 10;
const validity = {
  notBefore: new Date(Date.now() - 60_000),
  notAfter: new Date(Date.now() + 86_400_000),
};

function newRoot(name: string): Promise<MadeCertificate> {
  return makeAuthority(`CN=${name}`, validity);
}

function newIdentity(
  root: MadeCertificate,
  role: string,
  name: string,
  during = validity,
): Promise<MadeCertificate> {
  const authority = {
    certificate: new X509Certificate(root.certificate).raw,
    privateKey: createPrivateKey(root.key),
  };
  const uri = `spiffe://silo.internal/us/${role}/${name}`;
  return makeLeaf(authority, { name, uri, hosts: ['localhost'] }, during);
}

/** Files of one process, each replaced atomically, as operators and Kubernetes do. */
async function filesOf(t: ExecutionContext, roots: string, { certificate, key }: MadeCertificate) {
  const directory = await mkdtemp(join(tmpdir(), 'silo-rotation-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const at = (name: string) => join(directory, name);
  const tls: TlsFiles = { ca: at('ca.pem'), cert: at('cert.pem'), key: at('key.pem') };
  const write = async (which: keyof TlsFiles, text: string) => {
    await writeFile(`${tls[which]}.new`, text);
    await rename(`${tls[which]}.new`, tls[which]);
  };
  await write('ca', roots);
  await write('cert', certificate);
  await write('key', key);
  return { tls, write };
}

/** Follows the certificates of a process, and counts how often they were replaced or refused. */
function follow(t: ExecutionContext, files: TlsFiles) {
  const { log, lines } = keptLog();
  const tls = new FollowedTls(files, { log, intervalMs });
  t.teardown(() => tls[Symbol.dispose]());
  const count = (level: string) => lines.filter((line) => line.includes(`"${level}"`)).length;
  return { tls, replaced: () => count('info'), refused: () => count('warn') };
}

test('a CA is rotated under load: no call fails, and the old CA is refused after the last step', async (t) => {
  const [former, next] = await Promise.all([newRoot('former'), newRoot('next')]);
  const formerGuard = await newIdentity(former, 'guard', 'edge');
  const sides = await Promise.all([
    filesOf(t, former.certificate, await newIdentity(former, 'service', 'org')),
    filesOf(t, former.certificate, formerGuard),
  ]);
  const [ofServer, ofClient] = sides;
  const followed = sides.map(({ tls }) => follow(t, tls));
  const [server, client] = followed;
  if (server === undefined || client === undefined) return t.fail();
  const service = await serve(t, {
    internal: true,
    services: [eventLogService()],
    tls: server.tls,
    // Connections end all the time, so most calls of the test begin a new one.
    connectionAgeMaxMs: 200,
  });
  const heads = connect(EventLogServiceClient, channelTo(t, service, client.tls), { retry: true });

  const outcomes = new Map<string, number>();
  const over = new AbortController();
  const calling = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) {
      const outcome = await outcomeOf(heads.getHead({}));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  });
  const everyReplacement = (count: number) =>
    eventually(() => {
      const counts = followed.map(({ replaced }) => replaced());
      if (counts.some((each) => each < count))
        throw new Error(`${counts} of ${count} replacements`);
    });
  const calls = () => outcomes.get('OK') ?? 0;
  const moreCalls = async () => {
    const before = calls();
    await eventually(() => {
      if (calls() <= before + 200) throw new Error(`${calls() - before} more calls`);
    });
  };

  await moreCalls();
  for (const { write } of sides) await write('ca', `${former.certificate}\n${next.certificate}`);
  await everyReplacement(1);
  await moreCalls();
  for (const [{ write }, role, name] of [
    [ofServer, 'service', 'org'],
    [ofClient, 'guard', 'edge'],
  ] as const) {
    const { certificate, key } = await newIdentity(next, role, name);
    await write('key', key);
    await write('cert', certificate);
  }
  await everyReplacement(2);
  await moreCalls();
  for (const { write } of sides) await write('ca', next.certificate);
  await everyReplacement(3);
  await moreCalls();
  over.abort();
  await Promise.all(calling);

  t.deepEqual([...outcomes.keys()], ['OK']);
  const old = await filesOf(t, `${former.certificate}\n${next.certificate}`, formerGuard);
  const refused = connect(EventLogServiceClient, channelTo(t, service, old.tls));
  t.is(await outcomeOf(refused.getHead({})), 'DEPENDENCY_UNAVAILABLE');
  t.log(`${calls()} calls`);
});

test('a half-written pair changes nothing and is logged once', async (t) => {
  const root = await newRoot('root');
  const [first, second] = await Promise.all([
    newIdentity(root, 'service', 'org'),
    newIdentity(root, 'service', 'org'),
  ]);
  const files = await filesOf(t, root.certificate, first);
  const ofClient = await filesOf(t, root.certificate, first);
  const server = follow(t, files.tls);
  const service = await serve(t, {
    ...{ internal: true, services: [eventLogService()], tls: server.tls },
  });
  // Uses a new connection for each call, made with the certificates that the server uses then.
  const headIsRead = async () => {
    using channel = createChannel(service.address, ofClient.tls);
    return await outcomeOf(connect(EventLogServiceClient, channel).getHead({}));
  };

  await files.write('key', second.key);
  await untilIs(1, () => server.refused());
  for (let call = 0; call < 200; call++) t.is(await headIsRead(), 'OK');
  t.is(server.replaced(), 0);
  await files.write('cert', second.certificate);
  await untilIs(1, () => server.replaced());
  t.is(await headIsRead(), 'OK');
  t.is(server.refused(), 1);
});

test('an incomplete certificate, or a key of another certificate, is refused at the start', async (t) => {
  const root = await newRoot('root');
  const made = await newIdentity(root, 'service', 'org');
  const files = await filesOf(t, root.certificate, made);
  const { log } = keptLog();
  await files.write('ca', root.certificate.slice(0, 200));
  t.throws(() => new FollowedTls(files.tls, { log }), {
    message: /TLS_CA .* incomplete certificate/,
  });
  await files.write('ca', root.certificate);
  await files.write('key', root.key);
  t.throws(() => new FollowedTls(files.tls, { log }), { message: /TLS_KEY is not the key/ });
});

test('a certificate that peers would refuse does not replace the present one', async (t) => {
  const [root, other] = await Promise.all([newRoot('root'), newRoot('other')]);
  const files = await filesOf(t, root.certificate, await newIdentity(root, 'service', 'org'));
  const { log, lines } = keptLog();
  const tls = new FollowedTls(files.tls, { log, intervalMs });
  t.teardown(() => tls[Symbol.dispose]());
  const { pems } = tls;
  const past = { notBefore: new Date(0), notAfter: new Date(Date.now() - 1_000) };
  for (const [made, reason] of [
    [await newIdentity(other, 'service', 'org'), 'was not issued by a CA in TLS_CA'],
    [await newIdentity(root, 'service', 'org', past), 'has expired'],
  ] as const) {
    await files.write('key', made.key);
    await files.write('cert', made.certificate);
    await eventually(() => {
      if (!lines.some((line) => line.includes(reason))) throw new Error(lines.join('\n'));
    });
  }
  t.is(tls.pems, pems);
  const { certificate, key } = await newIdentity(root, 'service', 'org');
  // A file may contain the key before the certificate.
  await files.write('key', key);
  await files.write('cert', `${key}\n${certificate}`);
  await untilIs(true, () => tls.pems !== pems);
  t.pass();
});
