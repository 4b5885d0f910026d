/**
 * Health check of a container: exits with 0 if the public port of the service with this environment
 * answers SERVING, else with 1 and the reason. The certificate of the service must name 127.0.0.1.
 */
import { enumName } from '@silo/protos/enum-name.ts';
import {
  HealthCheckResponse_ServingStatus,
  HealthClient,
} from '@silo/protos/gen/grpc/health/v1/health.ts';
import { connect, createChannel } from '@silo/rpc/client.ts';
import { configOrExit, file, hostPort } from '@silo/runtime/config.ts';

/** Shorter than the timeout of the check in docker-compose.yml. */
const deadlineMs = 3_000;

const { publicAddress, tlsCa } = configOrExit({
  shape: { publicAddress: hostPort(), tlsCa: file() },
});
using channel = createChannel(`127.0.0.1:${publicAddress.port}`, { ca: tlsCa });
try {
  const { status } = await connect(HealthClient, channel, { deadlineMs }).check({ service: '' });
  if (status !== HealthCheckResponse_ServingStatus.SERVING) {
    throw new Error(`it answers ${enumName(HealthCheckResponse_ServingStatus, status)}`);
  }
} catch (error) {
  process.stderr.write(`not serving: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
