/**
 * Answers an empty RPC with bare grpc-js, in a separate process that ends with its parent. Sends
 * the parent its address.
 */
import { Server, ServerCredentials, type sendUnaryData } from '@grpc/grpc-js';
import {
  HealthCheckResponse,
  HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '@silo/protos/gen/grpc/health/v1/health.ts';

const answer = HealthCheckResponse.create({ status: ServingStatus.SERVING });
const server = new Server();
server.addService(
  { check: HealthService.check },
  { check: (_call: unknown, callback: sendUnaryData<typeof answer>) => callback(null, answer) },
);
process.once('disconnect', () => process.exit());
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.send?.(`127.0.0.1:${port}`);
});
