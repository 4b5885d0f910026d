import type { Metrics } from '@silo/runtime/metrics.ts';
import { portLimitsOf } from '@silo/service/config.ts';
import type { OtherPort, ServiceKit } from '@silo/service/service-definition.ts';
import type { EdgeUses } from './edge.ts';

/** Opens the HTTP edge of a service where its configuration names an address for it. */
export function openEdgeOf(
  { config, access, clock, log }: Pick<ServiceKit, 'config' | 'access' | 'clock' | 'log'>,
  uses: Pick<EdgeUses, 'capture' | 'onTokenRefused'>,
): ((context: { metrics: Metrics }) => Promise<OtherPort>) | undefined {
  const { edgeAddress, edgeTrustedProxies, edgeHeldBytes } = config;
  if (edgeAddress === undefined) return undefined;
  return async ({ metrics }) => {
    // A service that opens none need not load it.
    const { openEdge } = await import('./edge.ts');
    const settings = {
      address: edgeAddress,
      trustedProxies: edgeTrustedProxies.split(',').flatMap((each) => each.trim() || []),
      heldBytesMax: edgeHeldBytes,
      limits: portLimitsOf(config),
    };
    const edge = await openEdge(settings, { ...uses, metrics, access, clock, log });
    log.info({ edgeAddress: edge.address }, 'listening for HTTP');
    return edge;
  };
}
