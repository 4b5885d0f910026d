import { errors } from '@silo/errors/errors.ts';
import { isBetweenServers } from '@silo/errors/from-status.ts';
import { SiloError } from '@silo/errors/silo-error.ts';
import { MigrationPeerServiceClient } from '@silo/protos/gen/silo/project/internal/v1/migration_peer_service.ts';
import { type Connected, connect, createChannel } from '@silo/rpc/client.ts';
import type { ClientTls } from '@silo/rpc/tls.ts';
import type { RegionName } from './config.ts';

/**
 * The client with which project calls project in another region. If the server does not answer, the
 * error is not a SiloError.
 */
export type RegionClient = Connected<MigrationPeerServiceClient>;

/** The clients of the other regions, by region. */
export type Regions = ReadonlyMap<string, RegionClient>;

/** Creates lazy connections to project in the other regions. */
export function connectRegions(
  addresses: ReadonlyMap<RegionName, string>,
  tls: ClientTls,
): Disposable & { regions: Regions } {
  const channels = new DisposableStack();
  const regions = new Map<string, RegionClient>();
  for (const [region, address] of addresses) {
    const expected = { region, name: 'project', isOfOtherRegion: true };
    const channel = channels.use(createChannel(address, tls, {}, expected));
    regions.set(region, connect(MigrationPeerServiceClient, channel, { refusals: true }));
  }
  return { regions, [Symbol.dispose]: () => channels.dispose() };
}

/**
 * Calls another region. Passes on its refusals; refuses with DEPENDENCY_UNAVAILABLE if it does not
 * answer, or does not serve this region.
 */
export async function askRegion<T>(
  regions: Regions,
  region: string,
  question: (client: RegionClient) => Promise<T>,
): Promise<T> {
  const client = regions.get(region);
  if (client === undefined) throw unavailable(region);
  try {
    return await question(client);
  } catch (error) {
    if (error instanceof SiloError && !isBetweenServers(error)) throw error;
    if (error instanceof Error && error.name === 'AbortError') throw error;
    throw unavailable(region, error);
  }
}

function unavailable(region: string, cause?: unknown): SiloError {
  return errors.dependencyUnavailable(`the region ${region}`, cause);
}
