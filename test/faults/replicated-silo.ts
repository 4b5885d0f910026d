import type { ServiceName } from '@silo/service/config.ts';
import { type ProcessOptions, startSiloProcesses } from '../harness/processes.ts';
import { type FaultSilo, startFaultMongod } from './fault-silo.ts';

const replicas: Record<ServiceName, number> = { org: 2, project: 2, token: 2, billing: 2 };

/** Two processes of each service and a separate edge, like a deployment that can be upgraded. */
export function startReplicatedSilo(
  options: Pick<ProcessOptions<never>, 'main' | 'natsUser'> = {},
): Promise<FaultSilo> {
  return startSiloProcesses({ ...options, replicas, edges: 1, startMongodb: startFaultMongod });
}
