import { randomBytes, X509Certificate } from 'node:crypto';
import { chown, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CertificateAuthority,
  type CertificateFiles,
  type CertificateRequest,
  defaultRenewBeforeMs,
  issueCertificate,
  openCertificateAuthority,
} from '@silo/embedded/certificates.ts';
import { mongodbUsers } from '@silo/embedded/mongod-users.ts';
import { natsUsers } from '@silo/embedded/nats-users.ts';
import { openPassword, writePrivateFile } from '@silo/embedded/passwords.ts';
import { serviceNames } from '@silo/service/config.ts';

/**
 * The user of the image, who becomes the owner of files that root creates: containers do not run as
 * root.
 */
const imageUser = 10_001;

/** The members of MongoDB's replica set in docker-compose.yml. */
const mongodbMembers = ['mongodb-1', 'mongodb-2', 'mongodb-3'];

interface SecretsOptions {
  /** Default: the region of the first run, else `us`. */
  region?: string | undefined;
  /**
   * Names of the public ports in addition to those of the containers. Default: the names of the
   * last run.
   */
  hosts?: readonly string[] | undefined;
  /** Replaces certificates that end within 30 days. */
  renew?: boolean | undefined;
  now?: (() => number) | undefined;
}

interface MadeSecrets {
  /** Paths of the files that were written. */
  made: string[];
  /** Certificates that end within 30 days. */
  ending: { file: string; ends: Date }[];
}

/**
 * Creates the secrets of a deployment that are missing, each in a file of mode 0600:
 * - `certificates/`: the CA, and a certificate and key per process;
 * - `mongodb/passwords/<user>`, `mongodb/urls/<user>`, and `mongodb/key-file` of the replica set;
 * - `nats/passwords/<user>`, and all of them in `nats/passwords.conf` for nats-server;
 * - `compose.env`: the variables of docker-compose.yml.
 * An existing file is kept. A certificate is replaced if its names changed or, with `renew`, if it
 * ends soon. Throws if the region differs from that of the first run.
 */
export async function makeSecrets(
  directory: string,
  options: SecretsOptions = {},
): Promise<MadeSecrets> {
  const now = options.now ?? (() => Date.now());
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const before = await modificationTimes(directory);
  const { region, hosts } = await openSettings(directory, options);
  const authority = await openCertificateAuthority(join(directory, 'certificates'), {
    ...{ region, now, commonName: 'Silo CA' },
    renewBeforeMs: options.renew ? defaultRenewBeforeMs : 0,
  });
  const certificates = await issueCertificates(authority, hosts, now);
  await makeMongodbSecrets(join(directory, 'mongodb'));
  await makeNatsSecrets(join(directory, 'nats'));
  const owner = ownerOfFiles();
  const user = `${owner.uid}:${owner.gid}`;
  const variables = { SILO_SECRETS: directory, SILO_USER: user, SILO_REGION: region };
  await keepVariables(join(directory, 'compose.env'), variables);
  await handOver(directory, owner);
  const after = await modificationTimes(directory);
  const ends = [...certificates, { certificate: authority.certificateFile }].map(
    async ({ certificate: file }) => ({
      file,
      ends: new X509Certificate(await readFile(file)).validToDate,
    }),
  );
  return {
    made: [...after.keys()].filter((file) => after.get(file) !== before.get(file)).sort(),
    ending: (await Promise.all(ends)).filter(
      (each) => each.ends.getTime() - now() <= defaultRenewBeforeMs,
    ),
  };
}

/**
 * The settings of the first run, which later runs use: a later run must not issue other
 * certificates unless its options say so.
 */
async function openSettings(
  directory: string,
  options: SecretsOptions,
): Promise<{ region: string; hosts: readonly string[] }> {
  const file = join(directory, 'settings.json');
  const known: { region?: string; hosts?: string[] } = JSON.parse((await textOf(file)) ?? '{}');
  const region = known.region ?? options.region ?? 'us';
  if (options.region !== undefined && options.region !== region) {
    throw new Error(
      `${directory} is of region ${region}: use another directory for another region`,
    );
  }
  const settings = { region, hosts: options.hosts ?? known.hosts ?? [] };
  await keepFile(file, `${JSON.stringify(settings)}\n`);
  return settings;
}

async function issueCertificates(
  authority: CertificateAuthority,
  hosts: readonly string[],
  now: () => number,
): Promise<CertificateFiles[]> {
  const requests: CertificateRequest[] = [
    ...[...serviceNames, 'edge'].map((name) => ({
      ...{ role: 'service' as const, name },
      hosts: [name, ...hosts],
    })),
    ...[...mongodbMembers, 'nats'].map((name) => ({
      ...{ role: 'server' as const, name },
      hosts: [name],
    })),
    { role: 'staff', name: 'operator' },
    { role: 'guard', name: 'product' },
  ];
  const issued: CertificateFiles[] = [];
  for (const request of requests) {
    const files = await issueCertificate(authority, request, now);
    issued.push(files);
    if (request.role !== 'server' || request.name === 'nats') continue;
    // mongod reads the certificate and the key from one file.
    const both = (await readFile(files.certificate, 'utf8')) + (await readFile(files.key, 'utf8'));
    await keepFile(files.certificate.replace(/\.pem$/, '.both.pem'), both);
  }
  return issued;
}

async function makeMongodbSecrets(directory: string): Promise<void> {
  const keyFile = join(directory, 'key-file');
  if ((await textOf(keyFile)) === undefined) {
    await writePrivateFile(keyFile, randomBytes(96).toString('base64'));
  }
  for (const user of mongodbUsers) await openPassword(join(directory, 'passwords', user));
  const hosts = mongodbMembers.map((member) => `${member}:27017`).join(',');
  const query = 'replicaSet=silo&authSource=admin&tls=true&tlsCAFile=/run/secrets/ca.pem';
  for (const user of mongodbUsers) {
    const password = await openPassword(join(directory, 'passwords', user));
    const url = `mongodb://${user}:${encodeURIComponent(password)}@${hosts}/?${query}\n`;
    await keepFile(join(directory, 'urls', user), url);
  }
}

async function makeNatsSecrets(directory: string): Promise<void> {
  const lines: string[] = [];
  for (const user of natsUsers) {
    const password = await openPassword(join(directory, 'passwords', user));
    // Quoted, because nats-server would read a password of digits as a number.
    lines.push(`NATS_${user.toUpperCase()}_PASSWORD: ${JSON.stringify(password)}\n`);
  }
  await keepFile(join(directory, 'passwords.conf'), lines.join(''));
}

/** Sets these variables in the file, and keeps its other lines, which the operator wrote. */
async function keepVariables(file: string, variables: Record<string, string>): Promise<void> {
  const lines = ((await textOf(file)) ?? '').split('\n').slice(0, -1);
  const others = lines.filter((line) => !(line.slice(0, line.indexOf('=')) in variables));
  const own = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  await keepFile(file, `${[...own, ...others].join('\n')}\n`);
}

/** Writes the file unless it already has this text. */
async function keepFile(file: string, text: string): Promise<void> {
  if ((await textOf(file)) !== text) await writePrivateFile(file, text);
}

async function textOf(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

type Owner = { uid: number; gid: number };

function ownerOfFiles(): Owner {
  const uid = process.getuid?.() || imageUser;
  return { uid, gid: uid === imageUser ? imageUser : (process.getgid?.() ?? imageUser) };
}

/** Gives files that root created to their owner. */
async function handOver(directory: string, { uid, gid }: Owner): Promise<void> {
  const paths = await readdir(directory, { recursive: true });
  for (const path of [directory, ...paths.map((each) => join(directory, each))]) {
    if ((await stat(path)).uid !== uid) await chown(path, uid, gid);
  }
}

/** The last modification time of each file below the directory, in nanoseconds. */
async function modificationTimes(directory: string): Promise<Map<string, bigint>> {
  const times = new Map<string, bigint>();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    times.set(file, (await stat(file, { bigint: true })).mtimeNs);
  }
  return times;
}
