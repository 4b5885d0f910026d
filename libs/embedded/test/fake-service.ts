// Stands in for a service: has both ports and health, and handles SIGTERM.
import { readFileSync } from 'node:fs';
import { Server, ServerCredentials } from '@grpc/grpc-js';

const { TLS_CA, TLS_CERT, TLS_KEY, PUBLIC_ADDRESS, INTERNAL_ADDRESS } = process.env;
if (!TLS_CA || !TLS_CERT || !TLS_KEY || !PUBLIC_ADDRESS || !INTERNAL_ADDRESS) {
  console.error('the environment is not complete');
  process.exit(2);
}
const pair = { private_key: readFileSync(TLS_KEY), cert_chain: readFileSync(TLS_CERT) };
const health = {
  check: {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  },
} as const;
const servers = [
  { address: PUBLIC_ADDRESS, mutual: false },
  { address: INTERNAL_ADDRESS, mutual: true },
].map(({ address, mutual }) => {
  const server = new Server();
  server.addService(health, {
    check: (_call: unknown, answer: (error: null, bytes: Buffer) => void) =>
      answer(null, Buffer.from([0x08, 1])),
  });
  const credentials = ServerCredentials.createSsl(readFileSync(TLS_CA), [pair], mutual);
  server.bindAsync(address, credentials, (error) => {
    if (!error) return;
    console.error(error.message);
    process.exit(1);
  });
  return server;
});
console.log(JSON.stringify({ msg: 'started', address: PUBLIC_ADDRESS }));
process.on('SIGTERM', () => {
  console.log(JSON.stringify({ msg: 'drained' }));
  for (const server of servers) server.forceShutdown();
  process.exit(0);
});
