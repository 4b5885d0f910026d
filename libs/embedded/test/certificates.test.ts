import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rename, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:tls';
import test from 'ava';
import { issueCertificate, openCertificateAuthority } from '../certificates.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const dayMs = 24 * 60 * 60 * 1000;

test('a certificate contains its role in a SPIFFE URI, and localhost and the loopback addresses', async (t) => {
  const authority = await openCertificateAuthority(await temporaryDirectory(t), { region: 'eu' });
  for (const role of ['service', 'guard', 'staff', 'server'] as const) {
    const files = await issueCertificate(authority, { role, name: 'org', hosts: ['silo.test'] });
    const certificate = new X509Certificate(await readFile(files.certificate));
    const names = certificate.subjectAltName?.split(', ') ?? [];
    t.deepEqual(names, [
      `URI:spiffe://silo.internal/eu/${role}/org`,
      'DNS:localhost',
      'IP Address:127.0.0.1',
      'IP Address:0:0:0:0:0:0:0:1',
      'DNS:silo.test',
    ]);
    t.true(
      certificate.verify(new X509Certificate(await readFile(authority.certificateFile)).publicKey),
    );
  }
});

test('a CA whose key was moved away is not replaced: a new CA would invalidate all its certificates', async (t) => {
  const directory = await temporaryDirectory(t);
  const { certificateFile } = await openCertificateAuthority(directory, { region: 'us' });
  const before = await readFile(certificateFile, 'utf8');
  await rename(`${directory}/ca.key`, `${directory}/elsewhere`);
  await t.throwsAsync(openCertificateAuthority(directory, { region: 'us' }), {
    message: /ca\.key is missing: put it back, or move .*ca\.pem away to make a new CA/,
  });
  t.is(await readFile(certificateFile, 'utf8'), before);
});

test('only the owner can read the keys', async (t) => {
  const directory = await temporaryDirectory(t);
  const authority = await openCertificateAuthority(directory, { region: 'us' });
  const { key } = await issueCertificate(authority, { role: 'staff', name: 'developer' });
  t.is((await stat(key)).mode & 0o777, 0o600);
  t.is((await stat(`${directory}/ca.key`)).mode & 0o777, 0o600);
});

test('the authority and its certificates are reused until 30 days before they end', async (t) => {
  const directory = await temporaryDirectory(t);
  const request = { role: 'service', name: 'org' } as const;
  const read = async (afterDays: number) => {
    const now = () => Date.now() + afterDays * dayMs;
    const authority = await openCertificateAuthority(directory, { region: 'us', now });
    const files = await issueCertificate(authority, request, now);
    return {
      authority: await readFile(authority.certificateFile, 'utf8'),
      leaf: await readFile(files.certificate, 'utf8'),
    };
  };
  const first = await read(0);
  t.deepEqual(await read(330), first);
  const renewed = await read(340);
  t.is(renewed.authority, first.authority);
  t.not(renewed.leaf, first.leaf);
  const muchLater = await read(10 * 365);
  t.not(muchLater.authority, first.authority);
  t.not(muchLater.leaf, renewed.leaf);
});

test('two holders of certificates of one authority can use mutual TLS', async (t) => {
  const authority = await openCertificateAuthority(await temporaryDirectory(t), { region: 'us' });
  const ca = await readFile(authority.certificateFile);
  const load = async (role: 'service' | 'staff') => {
    const files = await issueCertificate(authority, { role, name: 'one' });
    return { ca, cert: await readFile(files.certificate), key: await readFile(files.key) };
  };
  const server = createServer({ ...(await load('service')), requestCert: true }, (socket) => {
    socket.end(String(socket.getPeerX509Certificate()?.subjectAltName));
  });
  t.teardown(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const client = connect({ ...(await load('staff')), host: '127.0.0.1', port: port ?? 0 });
  const [bytes] = await once(client, 'data');
  t.true(client.authorized);
  t.true(String(bytes).includes('URI:spiffe://silo.internal/us/staff/one'));
});
