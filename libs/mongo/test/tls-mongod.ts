import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MadeCertificate } from '@silo/embedded/make-certificate.ts';
import { freePort } from '@silo/embedded/ports.ts';
import { startProcess } from '@silo/embedded/processes.ts';
import type { ExecutionContext } from 'ava';
import { MongoClient } from 'mongodb';
import { required } from '../../../test/harness/environment.ts';
import { eventually } from '../../../test/harness/eventually.ts';

/**
 * The files of one side of TLS: its roots, and its certificate with its key, each replaced
 * atomically.
 */
export class TlsSide {
  readonly ca: string;
  readonly identity: string;

  private constructor(directory: string) {
    this.ca = join(directory, 'ca.pem');
    this.identity = join(directory, 'identity.pem');
  }

  static async make(directory: string, roots: string, identity: MadeCertificate): Promise<TlsSide> {
    await mkdir(directory);
    const side = new TlsSide(directory);
    await side.writeRoots(roots);
    await side.writeIdentity(identity);
    return side;
  }

  async writeRoots(pems: string): Promise<void> {
    await replace(this.ca, pems);
  }

  async writeIdentity({ certificate, key }: MadeCertificate): Promise<void> {
    await replace(this.identity, `${certificate}\n${key}`);
  }
}

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

/**
 * Starts a mongod that requires certificates, as a replica set without users, until the test ends.
 * Returns the URL for a client with these files, and `rotate`, which makes mongod read its files
 * again.
 */
export async function startTlsMongod(
  t: ExecutionContext,
  directory: string,
  { server, client }: { server: TlsSide; client: TlsSide },
): Promise<{ url: string; rotate(): Promise<void> }> {
  const port = await freePort();
  const data = join(directory, 'data');
  await mkdir(data);
  const mongod = await startProcess({
    name: 'mongod with TLS',
    command: required('MONGOD_BINARY'),
    args: [
      ...['--dbpath', data, '--bind_ip', '127.0.0.1', '--port', String(port), '--nounixsocket'],
      ...['--replSet', 'silo', '--wiredTigerCacheSizeGB', '0.25', '--tlsMode', 'requireTLS'],
      ...['--tlsCAFile', server.ca, '--tlsCertificateKeyFile', server.identity],
    ],
    directory: join(directory, 'mongod'),
    logFile: join(directory, 'mongod.log'),
  });
  t.teardown(() => mongod.stop({ force: true }));
  const files = `tlsCAFile=${client.ca}&tlsCertificateKeyFile=${client.identity}`;
  const url = `mongodb://localhost:${port}/?tls=true&${files}`;
  const asAdmin = async (command: Record<string, unknown>) => {
    await using one = new MongoClient(`${url}&directConnection=true`, {
      serverSelectionTimeoutMS: 2_000,
    });
    return await one.db('admin').command(command);
  };
  const config = { _id: 'silo', members: [{ _id: 0, host: `localhost:${port}` }] };
  await eventually(() => asAdmin({ replSetInitiate: config }));
  await eventually(async () => {
    const { isWritablePrimary } = await asAdmin({ hello: 1 });
    if (!isWritablePrimary) throw new Error('there is no primary');
  });
  const rotate = async () => {
    await eventually(() => asAdmin({ rotateCertificates: 1 }));
  };
  return { url: `${url}&replicaSet=silo`, rotate };
}
