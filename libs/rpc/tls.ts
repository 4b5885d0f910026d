import { readFileSync } from 'node:fs';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';

/** Paths of PEM files: the deployment's CA, and this process's own certificate and key. */
export type TlsFiles = { ca: string; cert: string; key: string };

/** A client's side: trusts the CA alone; shows its own certificate where it has one. */
export function clientCredentials(
  tls: Pick<TlsFiles, 'ca'> & Partial<TlsFiles>,
): ChannelCredentials {
  const key = tls.key === undefined ? null : readFileSync(tls.key);
  const cert = tls.cert === undefined ? null : readFileSync(tls.cert);
  return ChannelCredentials.createSsl(readFileSync(tls.ca), key, cert);
}

/** A server's side. With `demandCertificate` nobody connects without a certificate of the CA. */
export function serverCredentials(tls: TlsFiles, demandCertificate: boolean): ServerCredentials {
  const pair = { private_key: readFileSync(tls.key), cert_chain: readFileSync(tls.cert) };
  return ServerCredentials.createSsl(readFileSync(tls.ca), [pair], demandCertificate);
}
