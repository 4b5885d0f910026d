// The library resolves its parts by decorators and needs the polyfill before it is loaded.
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const dayMs = 24 * 60 * 60 * 1000;
const authorityValidityMs = 10 * 365 * dayMs;
const leafValidityMs = 365 * dayMs;
const renewBeforeMs = 30 * dayMs;
// A peer's clock may be a little behind.
const backdateMs = 60 * 60 * 1000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export type CertificateRole = 'service' | 'guard' | 'staff';

/**
 * A certificate authority for development. Anyone with its key can issue every identity of the
 * deployment.
 */
export interface CertificateAuthority {
  directory: string;
  region: string;
  /** Path of its certificate, PEM. */
  certificateFile: string;
  certificate: X509Certificate;
  privateKey: webcrypto.CryptoKey;
}

/** Paths of PEM files. */
export interface CertificateFiles {
  certificate: string;
  key: string;
}

export interface CertificateRequest {
  role: CertificateRole;
  name: string;
  /** DNS names and addresses beside localhost, 127.0.0.1 and ::1. */
  hosts?: readonly string[];
}

/** Reloads `ca.pem` and `ca.key` (mode 0600) from the directory, or creates them. */
export async function openCertificateAuthority(
  directory: string,
  { region, now = () => Date.now() }: { region: string; now?: () => number },
): Promise<CertificateAuthority> {
  await mkdir(directory, { recursive: true });
  const files = { certificate: join(directory, 'ca.pem'), key: join(directory, 'ca.key') };
  const known = await loadAuthority(files);
  if (known && isFresh(known.certificate, now())) {
    return { directory, region, certificateFile: files.certificate, ...known };
  }
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=Silo development CA (${region})`,
    ...validity(now(), authorityValidityMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await writePair(files, certificate, keys.privateKey);
  const { privateKey } = keys;
  return { directory, region, certificateFile: files.certificate, certificate, privateKey };
}

/**
 * Returns a certificate of this authority for both ends of mTLS, with the URI
 * `spiffe://silo.internal/<region>/<role>/<name>`. One that is there already is used again unless
 * it ends within 30 days or names something else. Keys have mode 0600.
 */
export async function issueCertificate(
  authority: CertificateAuthority,
  { role, name, hosts = [] }: CertificateRequest,
  now: () => number = () => Date.now(),
): Promise<CertificateFiles> {
  const base = join(authority.directory, `${role}-${name}`);
  const files = { certificate: `${base}.pem`, key: `${base}.key` };
  const names = subjectNames(`spiffe://silo.internal/${authority.region}/${role}/${name}`, hosts);
  if (await isUsable(files, authority, names, now())) return files;
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: authority.certificate.subject,
    ...validity(now(), leafValidityMs),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: authority.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension(names),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  });
  await writePair(files, certificate, keys.privateKey);
  return files;
}

function subjectNames(uri: string, hosts: readonly string[]): JsonGeneralName[] {
  const all = [...new Set(['localhost', '127.0.0.1', '::1', ...hosts])];
  return [
    { type: 'url', value: uri },
    ...all.map((value): JsonGeneralName => ({ type: isIP(value) ? 'ip' : 'dns', value })),
  ];
}

async function isUsable(
  { certificate: certificateFile, key }: CertificateFiles,
  authority: CertificateAuthority,
  names: JsonGeneralName[],
  nowMs: number,
): Promise<boolean> {
  try {
    await readFile(key);
    const certificate = new X509Certificate(await readFile(certificateFile, 'utf8'));
    const found = certificate.getExtension(SubjectAlternativeNameExtension)?.names.toJSON();
    return (
      isFresh(certificate, nowMs) &&
      JSON.stringify(found) === JSON.stringify(names) &&
      (await certificate.verify({ publicKey: authority.certificate, signatureOnly: true }))
    );
  } catch {
    return false;
  }
}

async function loadAuthority(
  files: CertificateFiles,
): Promise<{ certificate: X509Certificate; privateKey: webcrypto.CryptoKey } | undefined> {
  try {
    const [pem, keyPem] = await Promise.all([
      readFile(files.certificate, 'utf8'),
      readFile(files.key, 'utf8'),
    ]);
    const [key] = PemConverter.decode(keyPem);
    if (!key) return undefined;
    const privateKey = await crypto.subtle.importKey('pkcs8', key, algorithm, false, ['sign']);
    return { certificate: new X509Certificate(pem), privateKey };
  } catch {
    return undefined;
  }
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

function validity(nowMs: number, durationMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - backdateMs), notAfter: new Date(nowMs + durationMs) };
}

function isFresh(certificate: X509Certificate, nowMs: number): boolean {
  return certificate.notAfter.getTime() - nowMs > renewBeforeMs;
}

async function writePair(
  files: CertificateFiles,
  certificate: X509Certificate,
  privateKey: webcrypto.CryptoKey,
): Promise<void> {
  const key = PemConverter.encode(
    await crypto.subtle.exportKey('pkcs8', privateKey),
    'PRIVATE KEY',
  );
  await replaceFile(files.key, `${key}\n`, 0o600);
  await replaceFile(files.certificate, `${certificate.toString('pem')}\n`, 0o644);
}

async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}.tmp`;
  await writeFile(draft, text, { mode });
  await rename(draft, file);
}
