import { readFileSync } from 'node:fs';
import type { SecureServerOptions } from 'node:http2';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';

/** Paths of PEM files: the deployment's CA, and this process's certificate and key. */
export type TlsFiles = { ca: string; cert: string; key: string };

/** Client credentials: trusts only the CA; sends its own certificate if it has one. */
export function clientCredentials(
  tls: Pick<TlsFiles, 'ca'> & Partial<TlsFiles>,
): ChannelCredentials {
  const key = tls.key === undefined ? null : readFileSync(tls.key);
  const cert = tls.cert === undefined ? null : readFileSync(tls.cert);
  return ChannelCredentials.createSsl(readFileSync(tls.ca), key, cert);
}

/** Server credentials. `demandCertificate` requires a client certificate of the CA. */
export function serverCredentials(
  tls: TlsFiles,
  demandCertificate: boolean,
  http2: SecureServerOptions = {},
): ServerCredentials {
  return new PortCredentials(tls, demandCertificate, http2);
}

/** As `ServerCredentials.createSsl`, with HTTP/2 settings that it has no options for. */
class PortCredentials extends ServerCredentials {
  constructor(tls: TlsFiles, demandCertificate: boolean, http2: SecureServerOptions) {
    super(
      { ...http2, requestCert: demandCertificate, rejectUnauthorized: demandCertificate },
      { ca: readFileSync(tls.ca), key: readFileSync(tls.key), cert: readFileSync(tls.cert) },
    );
  }

  _equals(other: ServerCredentials): boolean {
    return other === this;
  }
}
