import type { Metrics } from '@silo/runtime/metrics.ts';
import { portLimitsOf } from '@silo/service/config.ts';
import type { OtherPort, ServiceKit } from '@silo/service/service-definition.ts';
import type { EdgeDependencies } from './edge.ts';

type EdgeKit = Pick<ServiceKit, 'config' | 'access' | 'regions' | 'clock' | 'log'>;

/** Opens the HTTP edge of a service if its configuration sets an address for it. */
export function openEdgeOf(
  { config, access, regions, clock, log }: EdgeKit,
  dependencies: Omit<EdgeDependencies, 'metrics' | 'access' | 'regions' | 'clock' | 'log'>,
): ((context: { metrics: Metrics }) => Promise<OtherPort>) | undefined {
  const { edgeAddress, edgeTrustedProxies, edgeHeldBytes } = config;
  if (edgeAddress === undefined) return undefined;
  return async ({ metrics }) => {
    // A service without an edge need not load it.
    const { openEdge } = await import('./edge.ts');
    const settings = {
      address: edgeAddress,
      trustedProxies: edgeTrustedProxies.split(',').flatMap((each) => each.trim() || []),
      heldBytesMax: edgeHeldBytes,
      limits: portLimitsOf(config),
    };
    const edge = await openEdge(settings, {
      ...dependencies,
      metrics,
      access,
      regions,
      clock,
      log,
    });
    log.info({ edgeAddress: edge.address }, 'listening for HTTP');
    return edge;
  };
}
