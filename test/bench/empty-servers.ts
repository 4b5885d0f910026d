/**
 * Serves empty answers twice, in a separate process: with Silo's server stack, and with bare
 * grpc-js, both over mTLS. Silo's stack also answers every VerifyToken with the same facts. Sends
 * its parent the two addresses. Ends with its parent.
 */
import { Server, type sendUnaryData } from '@grpc/grpc-js';
import {
  EventLogServiceService,
  GetHeadResponse,
} from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import {
  AccessServiceService,
  AuthorizeResponse,
  type TokenFacts,
  type VerifyTokenResponse,
} from '@silo/protos/gen/silo/token/internal/v1/access_service.ts';
import { mount } from '@silo/rpc/mount.ts';
import { startServer } from '@silo/rpc/server.ts';
import { serverCredentials, type TlsFiles } from '@silo/rpc/tls.ts';
import { createLogger } from '@silo/runtime/log.ts';
import { createMetrics } from '@silo/runtime/metrics.ts';

/** The answer of VerifyToken. */
export type EmptyServersOptions = { tls: TlsFiles; facts: TokenFacts };

/** `host:port` of each. */
export type Addresses = { ours: string; bare: string };

const { tls, facts }: EmptyServersOptions = JSON.parse(process.argv[2] ?? '');
const labels = { service: 'bench', region: 'us' };
const empty = GetHeadResponse.create();
const verified: VerifyTokenResponse = { answer: { $case: 'facts', value: facts } };

// Like services: with metrics, and with the usual log.
const ours = await startServer({
  address: '127.0.0.1:0',
  internal: true,
  region: labels.region,
  tls,
  log: createLogger({ ...labels, level: 'info' }),
  metrics: createMetrics(labels),
  services: [
    mount(EventLogServiceService, {
      getHead: async () => empty,
      readEvents: async function* () {},
    }),
    mount(AccessServiceService, {
      verifyToken: async () => verified,
      authorize: async () => AuthorizeResponse.create(),
    }),
  ],
});
process.once('disconnect', () => process.exit());
process.send?.({ ours: ours.address, bare: await startBare() } satisfies Addresses);

function startBare(): Promise<string> {
  const server = new Server();
  const { getHead } = EventLogServiceService;
  const answer = (_call: unknown, callback: sendUnaryData<GetHeadResponse>) =>
    callback(null, empty);
  server.addService({ getHead }, { getHead: answer });
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', serverCredentials(tls, true), (error, port) => {
      if (error === null) resolve(`127.0.0.1:${port}`);
      else reject(error);
    });
  });
}
