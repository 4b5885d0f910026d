import { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';

/** Who holds a client certificate. */
export type PeerIdentity = { region: string; role: Role; name: string };

const roles: Record<string, Role> = {
  service: Role.ROLE_SERVICE,
  guard: Role.ROLE_GUARD,
  staff: Role.ROLE_STAFF,
};
const uriEntry =
  /^URI:spiffe:\/\/silo\.internal\/([a-z]{2})\/(service|guard|staff)\/([\w.-]{1,64})$/;

/**
 * The identity in a certificate's subject alternative names as node prints them, such as
 * `URI:spiffe://silo.internal/us/service/org, DNS:localhost`; undefined unless there is exactly one.
 */
export function identityOf(subjectAltNames: string | undefined): PeerIdentity | undefined {
  // Node quotes a name that holds a separator: such a name could pretend to be several.
  if (subjectAltNames === undefined || subjectAltNames.includes('"')) return undefined;
  const entries = subjectAltNames.split(', ').filter((entry) => entry.startsWith('URI:'));
  const [, region, roleName = '', name] = uriEntry.exec(entries[0] ?? '') ?? [];
  const role = roles[roleName];
  if (entries.length !== 1 || !region || !name || role === undefined) return undefined;
  return { region, role, name };
}

/** Who made the call; undefined where there is no certificate that says so. */
export type Identify = (call: {
  getAuthContext(): { sslPeerCertificate?: { subjectaltname?: string | undefined } | undefined };
}) => PeerIdentity | undefined;

/** Reads the certificate that TLS has verified. */
export const identifyPeer: Identify = (call) =>
  identityOf(call.getAuthContext().sslPeerCertificate?.subjectaltname);
