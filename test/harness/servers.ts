import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { issueCertificate, openCertificateAuthority } from '@silo/embedded/certificates.ts';
import { startMongod } from '@silo/embedded/mongod.ts';
import { startNatsServer } from '@silo/embedded/nats-server.ts';
import { obtain } from '@silo/embedded/obtain.ts';

/** The paths of the servers' binaries for test suites. */
type Binaries = { MONGOD_BINARY: string; NATS_SERVER_BINARY: string };

/** The environment variables by which test files reach the servers of the run. */
type TestEnvironment = Binaries & {
  MONGODB_URL: string;
  NATS_URL: string;
  /**
   * Directory of certificates: `ca.pem`, `<role>-<name>.pem` and `.key`; `eu/` has those of another
   * region with the same CA, `other/` those of another CA.
   */
  SILO_TEST_CERTIFICATES: string;
};

/** The servers that all test files of one run share. */
export type TestServers = AsyncDisposable & { environment: TestEnvironment };

/** Starts one mongod, with fail points, and one nats-server, and makes certificates. */
export async function startTestServers(directory: string): Promise<TestServers> {
  const binaries = await obtainBinaries((line) => console.log(`# ${line}`));
  await using started = new AsyncDisposableStack();
  const mongod = started.use(
    await startMongod({
      binary: binaries.MONGOD_BINARY,
      directory: join(directory, 'mongodb'),
      // Files of dropped databases stay open until their history ends, 5 minutes by default: about
      // 70 for each test with its own database, and a process may have at most 20,000.
      setParameters: { minSnapshotHistoryWindowInSeconds: '5' },
      enableTestCommands: true,
    }),
  );
  const nats = started.use(
    await startNatsServer({
      binary: binaries.NATS_SERVER_BINARY,
      directory: join(directory, 'nats'),
    }),
  );
  const certificates = join(directory, 'certificates');
  await makeCertificates(certificates);
  await makeCertificates(join(certificates, 'other'));
  await shareAuthority(certificates, join(certificates, 'eu'));
  await makeCertificates(join(certificates, 'eu'), 'eu');
  const running = started.move();
  return {
    environment: {
      MONGODB_URL: mongod.url,
      NATS_URL: nats.url,
      SILO_TEST_CERTIFICATES: certificates,
      ...binaries,
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Finds or downloads both binaries. */
export async function obtainBinaries(log: (line: string) => void): Promise<Binaries> {
  const [mongod, natsServer] = await Promise.all([
    obtain('mongod', { log }),
    obtain('nats-server', { log }),
  ]);
  return { MONGOD_BINARY: mongod.path, NATS_SERVER_BINARY: natsServer.path };
}

/** Regions in tests have one CA, so that a certificate is refused only for its region. */
async function shareAuthority(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const file of ['ca.pem', 'ca.key']) await copyFile(join(from, file), join(to, file));
}

async function makeCertificates(directory: string, region = 'us'): Promise<void> {
  const authority = await openCertificateAuthority(directory, { region });
  for (const name of ['org', 'project', 'token', 'billing', 'edge']) {
    await issueCertificate(authority, { role: 'service', name });
  }
  await issueCertificate(authority, { role: 'guard', name: 'edge' });
  await issueCertificate(authority, { role: 'staff', name: 'operator' });
}
