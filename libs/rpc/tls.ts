import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { SecureServerOptions } from 'node:http2';
import { checkServerIdentity, createSecureContext, type PeerCertificate } from 'node:tls';
import { ChannelCredentials, experimental, ServerCredentials } from '@grpc/grpc-js';
import { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import { followFiles } from '@silo/runtime/follow-files.ts';
import type { Log } from '@silo/runtime/log.ts';
import { certificatesIn, isIssuedBy } from './authorities.ts';
import { identityOf, type MayIssue, type PeerIdentity } from './identity.ts';

/** Paths of PEM files: the deployment's CA, and this process's certificate and key. */
export type TlsFiles = { ca: string; cert: string; key: string };

/** TLS files of a service, with the CAs of other regions if they differ from those of `ca`. */
export type ServiceTlsFiles = TlsFiles & { regionCa?: string | undefined };

/** The contents of these files. */
type Pems = Record<keyof TlsFiles, Buffer> & { regionCa?: Buffer | undefined };

/**
 * TLS of a client: files that are read once, or followed. It may have no certificate of its own.
 */
export type ClientTls = FollowedTls | (Pick<TlsFiles, 'ca'> & Partial<TlsFiles>);

/** TLS of a server: files that are read once, or followed. */
export type ServerTls = FollowedTls | TlsFiles;

/** The service whose certificate the server must have. */
export type ExpectedServer = Pick<PeerIdentity, 'region' | 'name'> & {
  /** The server's CA is one for other regions. */
  isOfOtherRegion?: boolean;
};

/**
 * Client credentials: trusts only the CA; sends its own certificate if it has one. With `expected`,
 * the server's certificate must be of that service, because the CA file may contain the CAs of two
 * regions.
 */
export function clientCredentials(tls: ClientTls, expected?: ExpectedServer): ChannelCredentials {
  const verify = expected && { checkServerIdentity: checkServer(expected) };
  if (tls instanceof FollowedTls) {
    const authorities = expected?.isOfOtherRegion ? tls.regions : tls;
    return experimental.createCertificateProviderChannelCredentials(authorities, tls, verify);
  }
  const key = tls.key === undefined ? null : readFileSync(tls.key);
  const cert = tls.cert === undefined ? null : readFileSync(tls.cert);
  return ChannelCredentials.createSsl(readFileSync(tls.ca), key, cert, verify);
}

/** Checks the host name, as TLS does by default, and then the identity. */
function checkServer({ region, name }: ExpectedServer) {
  return (host: string, certificate: PeerCertificate): Error | undefined => {
    const fault = checkServerIdentity(host, certificate);
    if (fault !== undefined) return fault;
    const found = identityOf(certificate.subjectaltname);
    const isExpected =
      found?.role === Role.ROLE_SERVICE && found.region === region && found.name === name;
    return isExpected ? undefined : new Error(`the server is not ${region}/service/${name}`);
  };
}

/** Server credentials. `demandCertificate` requires a client certificate of the CA. */
export function serverCredentials(
  tls: ServerTls,
  demandCertificate: boolean,
  http2: SecureServerOptions = {},
): ServerCredentials {
  return new PortCredentials(tls, demandCertificate, http2);
}

/** Like `ServerCredentials.createSsl`, with HTTP/2 settings for which it has no options. */
class PortCredentials extends ServerCredentials {
  constructor(tls: ServerTls, demandCertificate: boolean, http2: SecureServerOptions) {
    super(
      { ...http2, requestCert: demandCertificate, rejectUnauthorized: demandCertificate },
      contextOf(tls instanceof FollowedTls ? tls.pems : readPems(tls)),
    );
    if (tls instanceof FollowedTls) {
      tls.subscribe((pems) => this.updateSecureContextOptions(contextOf(pems)));
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
 * connections use what was read last, open connections stay as they are. Files that do not match,
 * because one of them is not replaced yet, change nothing. Throws if the files cannot be used at
 * first. The provider of grpc-js that watches files does not keep the last good pair: while files
 * do not match, it refuses all new connections.
 */
export class FollowedTls implements experimental.CertificateProvider, Disposable {
  readonly #stop = new AbortController();
  readonly #servers = new Set<(pems: Pems) => void>();
  readonly #caListeners = new Map<CaListener, (pems: Pems) => Buffer>();
  readonly #ownListeners = new Set<OwnListener>();
  #pems: Pems;

  /** The same, including the CAs of other regions. */
  readonly regions: experimental.CertificateProvider = {
    addCaCertificateListener: (listener) => this.#addCaListener(listener, regionCaOf),
    removeCaCertificateListener: (listener) => this.removeCaCertificateListener(listener),
    addIdentityCertificateListener: (listener) => this.addIdentityCertificateListener(listener),
    removeIdentityCertificateListener: (listener) =>
      this.removeIdentityCertificateListener(listener),
  };

  constructor(files: ServiceTlsFiles, { log, intervalMs }: { log: Log; intervalMs?: number }) {
    this.#pems = readPems(files);
    checkPems(this.#pems);
    void followFiles({
      name: 'TLS certificates',
      read: async () => ({
        ca: await readFile(files.ca),
        cert: await readFile(files.cert),
        key: await readFile(files.key),
        ...(files.regionCa !== undefined && { regionCa: await readFile(files.regionCa) }),
      }),
      accepted: this.#pems,
      accept: (pems) => this.#replace(pems),
      ...{ log, intervalMs, signal: this.#stop.signal },
    });
  }

  get pems(): Pems {
    return this.#pems;
  }

  /** Calls the listener at each replacement, while the files are followed. */
  subscribe(listener: (pems: Pems) => void): void {
    this.#servers.add(listener);
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#addCaListener(listener, ({ ca }) => ca);
  }

  #addCaListener(listener: CaListener, pick: (pems: Pems) => Buffer): void {
    this.#caListeners.set(listener, pick);
    // Deferred, because grpc-js expects an update after it subscribes.
    setImmediate(() => {
      if (this.#caListeners.has(listener)) listener({ caCertificate: pick(this.#pems) });
    });
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: OwnListener): void {
    this.#ownListeners.add(listener);
    setImmediate(() => {
      if (this.#ownListeners.has(listener)) listener(ownOf(this.#pems));
    });
  }

  removeIdentityCertificateListener(listener: OwnListener): void {
    this.#ownListeners.delete(listener);
  }

  /** Stops following the files; what was read last stays in use. */
  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  #replace(pems: Pems): void {
    checkPems(pems);
    checkUsable(pems);
    this.#pems = pems;
    for (const listener of this.#servers) listener(pems);
    for (const [listener, pick] of this.#caListeners) listener({ caCertificate: pick(pems) });
    for (const listener of this.#ownListeners) listener(ownOf(pems));
  }
}

function ownOf({ cert, key }: Pems) {
  return { certificate: cert, privateKey: key };
}

function regionCaOf({ ca, regionCa = ca }: Pems): Buffer {
  return regionCa;
}

/** The context for TLS. `issuerCheck` later checks which CA may issue which identity. */
function contextOf({ ca, cert, key, regionCa }: Pems) {
  return { cert, key, ca: regionCa === undefined ? ca : [ca, regionCa] };
}

/**
 * Whether the CA of a client's certificate may issue its identity: identities of this region come
 * from its own CAs, those of other regions from theirs. Undefined if both use the same CAs.
 */
export function issuerCheck(tls: ServerTls, ownRegion: string): MayIssue | undefined {
  if (!(tls instanceof FollowedTls) || tls.pems.regionCa === undefined) return undefined;
  return ({ region }, [leaf, ...between]) => {
    const { ca } = tls.pems;
    const authorities =
      region === ownRegion
        ? certificatesIn(ca, 'TLS_CA')
        : certificatesIn(regionCaOf(tls.pems), 'REGION_TLS_CA');
    return leaf !== undefined && isIssuedBy(authorities, leaf, between);
  };
}

function readPems(files: ServiceTlsFiles): Pems {
  const { ca, cert, key, regionCa } = files;
  return {
    ...{ ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) },
    ...(regionCa !== undefined && { regionCa: readFileSync(regionCa) }),
  };
}

/** Throws if a file is incomplete, or the key does not belong to the certificate. */
function checkPems({ ca, cert, key, regionCa }: Pems): void {
  certificatesIn(ca, 'TLS_CA');
  if (regionCa !== undefined) certificatesIn(regionCa, 'REGION_TLS_CA');
  const [leaf] = certificatesIn(cert, 'TLS_CERT');
  let isPair = false;
  try {
    isPair = leaf?.checkPrivateKey(createPrivateKey(key)) ?? false;
  } catch {
    throw new Error('TLS_KEY is not a whole private key');
  }
  if (!isPair) throw new Error('TLS_KEY is not the key of the certificate in TLS_CERT');
}

/**
 * Throws if peers would refuse the certificate, or TLS these files, since they would replace usable
 * ones.
 */
function checkUsable(pems: Pems): void {
  const { ca, cert } = pems;
  createSecureContext(contextOf(pems));
  const [leaf, ...between] = certificatesIn(cert, 'TLS_CERT');
  if (leaf === undefined) return;
  if (leaf.validToDate <= new Date()) throw new Error('the certificate in TLS_CERT has expired');
  if (!isIssuedBy(certificatesIn(ca, 'TLS_CA'), leaf, between)) {
    throw new Error('the certificate in TLS_CERT was not issued by a CA in TLS_CA');
  }
}
