import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { SecureServerOptions } from 'node:http2';
import { createSecureContext } from 'node:tls';
import { ChannelCredentials, experimental, ServerCredentials } from '@grpc/grpc-js';
import { followFiles } from '@silo/runtime/follow-files.ts';
import type { Log } from '@silo/runtime/log.ts';

/** Paths of PEM files: the deployment's CA, and this process's certificate and key. */
export type TlsFiles = { ca: string; cert: string; key: string };

/** What such files hold. */
type Pems = Record<keyof TlsFiles, Buffer>;

/** Of a client: files that are read once, or followed. It may have no certificate of its own. */
export type ClientTls = FollowedTls | (Pick<TlsFiles, 'ca'> & Partial<TlsFiles>);

/** Of a server: files that are read once, or followed. */
export type ServerTls = FollowedTls | TlsFiles;

/** Client credentials: trusts only the CA; sends its own certificate if it has one. */
export function clientCredentials(tls: ClientTls): ChannelCredentials {
  if (tls instanceof FollowedTls) {
    return experimental.createCertificateProviderChannelCredentials(tls, tls);
  }
  const key = tls.key === undefined ? null : readFileSync(tls.key);
  const cert = tls.cert === undefined ? null : readFileSync(tls.cert);
  return ChannelCredentials.createSsl(readFileSync(tls.ca), key, cert);
}

/** Server credentials. `demandCertificate` requires a client certificate of the CA. */
export function serverCredentials(
  tls: ServerTls,
  demandCertificate: boolean,
  http2: SecureServerOptions = {},
): ServerCredentials {
  return new PortCredentials(tls, demandCertificate, http2);
}

/** As `ServerCredentials.createSsl`, with HTTP/2 settings that it has no options for. */
class PortCredentials extends ServerCredentials {
  constructor(tls: ServerTls, demandCertificate: boolean, http2: SecureServerOptions) {
    super(
      { ...http2, requestCert: demandCertificate, rejectUnauthorized: demandCertificate },
      tls instanceof FollowedTls ? tls.pems : readPems(tls),
    );
    if (tls instanceof FollowedTls) {
      tls.subscribe((pems) => this.updateSecureContextOptions({ ...pems }));
    }
  }

  _equals(other: ServerCredentials): boolean {
    return other === this;
  }
}

type CaListener = Parameters<experimental.CertificateProvider['addCaCertificateListener']>[0];
type OwnListener = Parameters<
  experimental.CertificateProvider['addIdentityCertificateListener']
>[0];

/**
 * The CA, certificate and key of a process, from files that may be replaced while it runs: new
 * connections use what was read last, open ones go on. Files that do not belong together, because
 * one of them is not replaced yet, change nothing. Throws if they cannot be used at first.
 *
 * The provider of grpc-js that watches files keeps no last good pair: while files do not match, it
 * refuses all new connections.
 */
export class FollowedTls implements experimental.CertificateProvider, Disposable {
  readonly #stop = new AbortController();
  readonly #servers = new Set<(pems: Pems) => void>();
  readonly #caListeners = new Set<CaListener>();
  readonly #ownListeners = new Set<OwnListener>();
  #pems: Pems;

  constructor(files: TlsFiles, { log, intervalMs }: { log: Log; intervalMs?: number }) {
    this.#pems = readPems(files);
    checkPems(this.#pems);
    void followFiles({
      name: 'TLS certificates',
      read: async () => ({
        ca: await readFile(files.ca),
        cert: await readFile(files.cert),
        key: await readFile(files.key),
      }),
      accepted: this.#pems,
      accept: (pems) => this.#replace(pems),
      ...{ log, intervalMs, signal: this.#stop.signal },
    });
  }

  get pems(): Pems {
    return this.#pems;
  }

  /** Calls the listener with each replacement, as long as this follows the files. */
  subscribe(listener: (pems: Pems) => void): void {
    this.#servers.add(listener);
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener);
    // Not now: grpc-js waits for an update that follows.
    setImmediate(() => {
      if (this.#caListeners.has(listener)) listener({ caCertificate: this.#pems.ca });
    });
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: OwnListener): void {
    this.#ownListeners.add(listener);
    setImmediate(() => {
      if (this.#ownListeners.has(listener)) listener(identityOf(this.#pems));
    });
  }

  removeIdentityCertificateListener(listener: OwnListener): void {
    this.#ownListeners.delete(listener);
  }

  /** Stops to follow the files; what was read last stays in use. */
  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  #replace(pems: Pems): void {
    checkPems(pems);
    checkUsable(pems);
    this.#pems = pems;
    for (const listener of this.#servers) listener(pems);
    for (const listener of this.#caListeners) listener({ caCertificate: pems.ca });
    for (const listener of this.#ownListeners) listener(identityOf(pems));
  }
}

function identityOf({ cert, key }: Pems) {
  return { certificate: cert, privateKey: key };
}

function readPems(files: TlsFiles): Pems {
  const { ca, cert, key } = files;
  return { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
}

/** Throws where a file is not whole, or the key is not that of the certificate. */
function checkPems({ ca, cert, key }: Pems): void {
  certificatesIn(ca, 'TLS_CA');
  const [leaf] = certificatesIn(cert, 'TLS_CERT');
  let isPair = false;
  try {
    isPair = leaf?.checkPrivateKey(createPrivateKey(key)) ?? false;
  } catch {
    throw new Error('TLS_KEY is not a whole private key');
  }
  if (!isPair) throw new Error('TLS_KEY is not the key of the certificate in TLS_CERT');
}

/** Throws where peers would refuse the certificate, or TLS these files: they replace ones that work. */
function checkUsable({ ca, cert, key }: Pems): void {
  createSecureContext({ ca, cert, key });
  const [leaf, ...between] = certificatesIn(cert, 'TLS_CERT');
  if (leaf === undefined) return;
  if (leaf.validToDate <= new Date()) throw new Error('the certificate in TLS_CERT has ended');
  const authorities = certificatesIn(ca, 'TLS_CA');
  const issued = (by: X509Certificate) => (of: X509Certificate) =>
    of.checkIssued(by) && of.verify(by.publicKey);
  let last = leaf;
  // Each intermediate certificate brings it one step nearer to the CA.
  for (const _ of between) {
    const next = between.find((each) => each !== last && issued(each)(last));
    if (next === undefined) break;
    last = next;
  }
  if (!authorities.some((each) => issued(each)(last) || each.raw.equals(last.raw))) {
    throw new Error('the certificate in TLS_CERT is not of a CA in TLS_CA');
  }
}

function certificatesIn(pem: Buffer, file: string): X509Certificate[] {
  const parts = pem.toString('latin1').split(/(?=-----BEGIN )/);
  // The file may hold the key as well.
  const found = parts.filter((part) => /^-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/.test(part));
  if (found.length === 0) throw new Error(`${file} holds no certificate`);
  return found.map((part) => {
    try {
      return new X509Certificate(part);
    } catch {
      throw new Error(`${file} holds a certificate that is not whole`);
    }
  });
}
