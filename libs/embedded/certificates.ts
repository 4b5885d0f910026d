import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { MadeCertificate, Validity } from './make-certificate.ts';
import { writePrivateFile } from './passwords.ts';

const dayMs = 24 * 60 * 60 * 1000;
const authorityValidityMs = 10 * 365 * dayMs;
const leafValidityMs = 365 * dayMs;
/** A certificate is renewed this long before its end. */
export const defaultRenewBeforeMs = 30 * dayMs;
// A peer's clock may be a little behind.
const backdateMs = 60 * 60 * 1000;

/** `server` is for MongoDB and NATS. Internal ports do not accept this role. */
export type CertificateRole = 'service' | 'guard' | 'staff' | 'server';

/** A certificate authority: a process that can read its key can issue any identity. */
export interface CertificateAuthority {
  directory: string;
  region: string;
  /** A certificate is replaced this long before its end. */
  renewBeforeMs: number;
  /** Path of its certificate, PEM. */
  certificateFile: string;
  certificate: X509Certificate;
  privateKey: KeyObject;
}

/** Paths of PEM files. */
export interface CertificateFiles {
  certificate: string;
  key: string;
}

export interface CertificateRequest {
  role: CertificateRole;
  name: string;
  /** DNS names and addresses in addition to localhost, 127.0.0.1 and ::1. */
  hosts?: readonly string[];
}

interface AuthorityOptions {
  region: string;
  now?: (() => number) | undefined;
  /** Its name; default: that of a CA for development. */
  commonName?: string | undefined;
  /** A certificate is replaced this long before its end; default 30 days. */
  renewBeforeMs?: number | undefined;
}

/** Reloads `ca.pem` and `ca.key` (mode 0600) from the directory, or creates them. */
export async function openCertificateAuthority(
  directory: string,
  {
    region,
    now = () => Date.now(),
    commonName = 'Silo development CA',
    renewBeforeMs = defaultRenewBeforeMs,
  }: AuthorityOptions,
): Promise<CertificateAuthority> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const files = { certificate: join(directory, 'ca.pem'), key: join(directory, 'ca.key') };
  let authority = await loadAuthority(files);
  // A new CA would invalidate all certificates of the deployment. The key is written first, so a
  // missing key means that it was removed.
  if (!authority && existsSync(files.certificate) && !existsSync(files.key)) {
    throw new Error(
      `${files.key} is missing: put it back, or move ${files.certificate} away to make a new CA`,
    );
  }
  if (!authority || !isFresh(authority.certificate, now(), renewBeforeMs)) {
    const { makeAuthority } = await import('./make-certificate.ts');
    const name = `CN=${commonName} (${region})`;
    await writePair(files, await makeAuthority(name, validity(now(), authorityValidityMs)));
    authority = await loadAuthority(files);
  }
  if (!authority) throw new Error(`${directory} does not keep files that are written to it`);
  return { directory, region, renewBeforeMs, certificateFile: files.certificate, ...authority };
}

/**
 * Returns a certificate of this authority for both ends of mTLS, with the URI
 * `spiffe://silo.internal/<region>/<role>/<name>`. An existing one is reused unless it ends soon
 * (see the authority's `renewBeforeMs`) or has other names. Files have mode 0600.
 */
export async function issueCertificate(
  authority: CertificateAuthority,
  { role, name, hosts = [] }: CertificateRequest,
  now: () => number = () => Date.now(),
): Promise<CertificateFiles> {
  const base = join(authority.directory, `${role}-${name}`);
  const files = { certificate: `${base}.pem`, key: `${base}.key` };
  const uri = `spiffe://silo.internal/${authority.region}/${role}/${name}`;
  const subject = {
    ...{ name, uri },
    hosts: [...new Set(['localhost', '127.0.0.1', '::1', ...hosts])],
  };
  if (await isUsable(files, authority, subject, now())) return files;
  // Loaded on use: most starts find all certificates, and the library is large.
  const { makeLeaf } = await import('./make-certificate.ts');
  const issuer = { certificate: authority.certificate.raw, privateKey: authority.privateKey };
  await writePair(files, await makeLeaf(issuer, subject, validity(now(), leafValidityMs)));
  return files;
}

async function isUsable(
  files: CertificateFiles,
  authority: CertificateAuthority,
  subject: { uri: string; hosts: readonly string[] },
  nowMs: number,
): Promise<boolean> {
  try {
    await readFile(files.key);
    const certificate = new X509Certificate(await readFile(files.certificate));
    return (
      isFresh(certificate, nowMs, authority.renewBeforeMs) &&
      namesExactly(certificate, subject) &&
      certificate.verify(authority.certificate.publicKey)
    );
  } catch {
    return false;
  }
}

function namesExactly(
  certificate: X509Certificate,
  { uri, hosts }: { uri: string; hosts: readonly string[] },
): boolean {
  const names = certificate.subjectAltName?.split(', ') ?? [];
  const isNamed = (host: string) =>
    isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host, { subject: 'never' });
  return names.length === 1 + hosts.length && names.includes(`URI:${uri}`) && hosts.every(isNamed);
}

async function loadAuthority(
  files: CertificateFiles,
): Promise<Pick<CertificateAuthority, 'certificate' | 'privateKey'> | undefined> {
  try {
    const [certificate, key] = await Promise.all([
      readFile(files.certificate),
      readFile(files.key),
    ]);
    return { certificate: new X509Certificate(certificate), privateKey: createPrivateKey(key) };
  } catch {
    return undefined;
  }
}

function validity(nowMs: number, durationMs: number): Validity {
  return { notBefore: new Date(nowMs - backdateMs), notAfter: new Date(nowMs + durationMs) };
}

function isFresh(certificate: X509Certificate, nowMs: number, renewBeforeMs: number): boolean {
  return certificate.validToDate.getTime() - nowMs > renewBeforeMs;
}

async function writePair(files: CertificateFiles, made: MadeCertificate): Promise<void> {
  await writePrivateFile(files.key, made.key);
  await writePrivateFile(files.certificate, `${made.certificate}\n`);
}
