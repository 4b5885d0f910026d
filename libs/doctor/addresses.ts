import { lookup } from 'node:dns/promises';

/** Finds the addresses of a name. */
export type Resolve = (host: string) => Promise<string[]>;

/** Every address that a name has; none where it has none. An address is its own. */
export async function addressesOf(host: string): Promise<string[]> {
  // A name may have an IPv6 address at which nothing listens, as localhost: services do without it.
  const found = await lookup(host, { all: true, family: 4 }).catch(() =>
    lookup(host, { all: true }).catch(() => []),
  );
  return found.map(({ address }) => address);
}

/** The host and the port of `host:port`, `[address]:port` or a host alone. */
export function splitAddress(address: string, portDefault: number): { host: string; port: number } {
  const { hostname, port } = new URL(`tcp://${address}`);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || portDefault) };
}
