import { X509Certificate } from 'node:crypto';

/**
 * Whether one of the authorities issued the certificate, directly or through intermediate
 * certificates.
 */
export function isIssuedBy(
  authorities: readonly X509Certificate[],
  leaf: X509Certificate,
  between: readonly X509Certificate[],
): boolean {
  const issued = (by: X509Certificate) => (of: X509Certificate) =>
    of.checkIssued(by) && of.verify(by.publicKey);
  let last = leaf;
  // Each intermediate certificate leads one step closer to the authority.
  for (const _ of between) {
    const next = between.find((each) => each !== last && each.ca && issued(each)(last));
    if (next === undefined) break;
    last = next;
  }
  return authorities.some((each) => issued(each)(last) || each.raw.equals(last.raw));
}

/** The certificates of a PEM file. Throws if there is none, or one is incomplete. */
export function certificatesIn(pem: Buffer, file: string): X509Certificate[] {
  const parts = pem.toString('latin1').split(/(?=-----BEGIN )/);
  // The file may contain the key as well.
  const found = parts.filter((part) => /^-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/.test(part));
  if (found.length === 0) throw new Error(`${file} holds no certificate`);
  return found.map((part) => {
    try {
      return new X509Certificate(part);
    } catch {
      throw new Error(`${file} holds an incomplete certificate`);
    }
  });
}
