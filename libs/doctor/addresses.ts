import { lookup } from 'node:dns/promises';

/** Resolves a name to its addresses. */
export type Resolve = (host: string) => Promise<string[]>;

/** All addresses of a name; empty if there are none. An address resolves to itself. */
export async function addressesOf(host: string): Promise<string[]> {
  // IPv4 only, as services use: a name such as localhost may have an IPv6 address on which nothing
  // listens.
  const found = await lookup(host, { all: true, family: 4 }).catch(() =>
    lookup(host, { all: true }).catch(() => []),
  );
  return found.map(({ address }) => address);
}

/** Splits `host:port`, `[address]:port` or a host alone into host and port. */
export function splitAddress(address: string, portDefault: number): { host: string; port: number } {
  const { hostname, port } = new URL(`tcp://${address}`);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || portDefault) };
}
