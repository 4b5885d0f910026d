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

/** The same of a service, with the CAs of other regions where they are not those of `ca`. */
export type ServiceTlsFiles = TlsFiles & { regionCa?: string | undefined };

/** What such files hold. */
type Pems = Record<keyof TlsFiles, Buffer> & { regionCa?: Buffer | undefined };

/** Of a client: files that are read once, or followed. It may have no certificate of its own. */
export type ClientTls = FollowedTls | (Pick<TlsFiles, 'ca'> & Partial<TlsFiles>);

/** Of a server: files that are read once, or followed. */
export type ServerTls = FollowedTls | TlsFiles;

/** The service that a server must be, by its certificate. */
export type ExpectedServer = Pick<PeerIdentity, 'region' | 'name'> & {
  /** Its CA is one of other regions. */
  isOfOtherRegion?: boolean;
};

/**
 * Client credentials: trusts only the CA; sends its own certificate if it has one. With `expected`
 * the server's certificate must be of that service: the CA file may hold the CAs of two regions.
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

/** Checks the host name, as TLS does by itself, and then the identity. */
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

/** As `ServerCredentials.createSsl`, with HTTP/2 settings that it has no options for. */
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
 * connections use what was read last, open ones go on. Files that do not belong together, because
 * one of them is not replaced yet, change nothing. Throws if they cannot be used at first.
 *
 * The provider of grpc-js that watches files keeps no last good pair: while files do not match, it
 * refuses all new connections.
 */
export class FollowedTls implements experimental.CertificateProvider, Disposable {
  readonly #stop = new AbortController();
  readonly #servers = new Set<(pems: Pems) => void>();
  readonly #caListeners = new Map<CaListener, (pems: Pems) => Buffer>();
  readonly #ownListeners = new Set<OwnListener>();
  #pems: Pems;

  /** The same, with the CAs of other regions. */
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

  /** Calls the listener with each replacement, as long as this follows the files. */
  subscribe(listener: (pems: Pems) => void): void {
    this.#servers.add(listener);
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#addCaListener(listener, ({ ca }) => ca);
  }

  #addCaListener(listener: CaListener, pick: (pems: Pems) => Buffer): void {
    this.#caListeners.set(listener, pick);
    // Not now: grpc-js waits for an update that follows.
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

  /** Stops to follow the files; what was read last stays in use. */
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

/** What TLS takes: whose CA may issue which identity is looked at afterwards, by `issuerCheck`. */
function contextOf({ ca, cert, key, regionCa }: Pems) {
  return { cert, key, ca: regionCa === undefined ? ca : [ca, regionCa] };
}

/**
 * Whether the CA of a client's certificate may issue its identity: identities of this region come from
 * its own CAs, those of other regions from theirs. Undefined where both have the same CAs.
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

/** Throws where a file is not whole, or the key is not that of the certificate. */
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

/** Throws where peers would refuse the certificate, or TLS these files: they replace ones that work. */
function checkUsable(pems: Pems): void {
  const { ca, cert } = pems;
  createSecureContext(contextOf(pems));
  const [leaf, ...between] = certificatesIn(cert, 'TLS_CERT');
  if (leaf === undefined) return;
  if (leaf.validToDate <= new Date()) throw new Error('the certificate in TLS_CERT has ended');
  if (!isIssuedBy(certificatesIn(ca, 'TLS_CA'), leaf, between)) {
    throw new Error('the certificate in TLS_CERT is not of a CA in TLS_CA');
  }
}
