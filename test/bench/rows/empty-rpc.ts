import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Client, Metadata } from '@grpc/grpc-js';
import { issueCertificate, openCertificateAuthority } from '@silo/embedded/certificates.ts';
import {
  EventLogServiceService,
  GetHeadRequest,
} from '@silo/protos/gen/silo/events/internal/v1/event_log_service.ts';
import { clientCredentials, type TlsFiles } from '@silo/rpc/tls.ts';
import type { Bench } from '../bench-servers.ts';
import type { Addresses } from '../empty-servers.ts';
import { compareThroughputs, type Load } from '../measure.ts';
import { perSecond, type Row } from '../row.ts';

const callsInFlight = 32;
const deadlineMs = 10_000;

/**
 * Calls per second that our server stack answers: an empty unary RPC over mTLS, 32 in flight on one
 * connection. All of the pipeline runs: role check, shape, deadline, metrics, the log of the call.
 *
 * The floor: bare grpc-js in the same process, with the same TLS, message and client.
 */
export const emptyRpc: Row = {
  name: 'empty-rpc',
  unit: 'calls/s',
  goal: { of: 'ratio', atLeast: 0.8 },
  about: 'an empty unary RPC through our server stack; floor: bare grpc-js with the same TLS',
  run: async (bench) => {
    const { server, client: tls } = await makeCertificates(bench);
    const child = forkServers(server);
    try {
      const { ours, bare } = await addressesOf(child);
      using measured = calling(ours, tls);
      using floor = calling(bare, tls);
      return perSecond(
        await compareThroughputs(
          { floor, measured },
          { rounds: 15, warmUpRounds: 3, roundMs: 300 },
        ),
      );
    } finally {
      child.kill('SIGKILL');
    }
  },
};

async function makeCertificates({
  directory,
}: Bench): Promise<Record<'server' | 'client', TlsFiles>> {
  const authority = await openCertificateAuthority(join(directory, 'empty-rpc'), { region: 'us' });
  const { certificateFile: ca } = authority;
  const server = await issueCertificate(authority, { role: 'service', name: 'org' });
  const client = await issueCertificate(authority, { role: 'service', name: 'project' });
  return {
    server: { ca, cert: server.certificate, key: server.key },
    client: { ca, cert: client.certificate, key: client.key },
  };
}

function forkServers({ ca, cert, key }: TlsFiles): ChildProcess {
  const file = join(import.meta.dirname, '..', 'empty-servers.ts');
  return fork(file, [ca, cert, key], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
}

async function addressesOf(child: ChildProcess): Promise<Addresses> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the servers ended with ${code}`);
  });
  const [addresses]: Addresses[] = await Promise.race([once(child, 'message'), ended]);
  if (addresses === undefined) throw new Error('the servers told no addresses');
  return addresses;
}

/** Bare grpc-js as the client of both. */
function calling(address: string, tls: TlsFiles): Load & Disposable {
  // The certificate names both; an address is no server name in TLS.
  const options = { 'grpc.ssl_target_name_override': 'localhost' };
  const client = new Client(address, clientCredentials(tls), options);
  const { path, requestSerialize, responseDeserialize } = EventLogServiceService.getHead;
  const request = GetHeadRequest.create();
  const operation = () =>
    new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        { deadline: Date.now() + deadlineMs },
        (error) => (error === null ? resolve() : reject(error)),
      );
    });
  return { clients: callsInFlight, operation, [Symbol.dispose]: () => client.close() };
}
