import type { Deployment } from './deployment.ts';
import type { Facts } from './facts.ts';
import { lookAtMongodb } from './look-at-mongodb.ts';
import { lookAtNats } from './look-at-nats.ts';
import { lookAtProcesses } from './look-at-processes.ts';
import { lookAtRegions } from './look-at-regions.ts';

/**
 * Examines everything concurrently. Never rejects: what cannot be reached is part of the result.
 */
export async function lookAt(deployment: Deployment, now: () => number = Date.now): Promise<Facts> {
  const [processes, mongodb, nats, regions] = await Promise.all([
    lookAtProcesses(deployment, now),
    lookAtMongodb(deployment.mongodb, now),
    lookAtNats(deployment, now),
    lookAtRegions(deployment),
  ]);
  const certificates = [processes, mongodb, nats].flatMap((looked) => looked.certificates);
  return { time: new Date(now()), ...processes, ...mongodb, ...nats, ...regions, certificates };
}
