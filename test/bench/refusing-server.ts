/**
 * An HTTP/2 server over TLS that only refuses every call at once, in a separate process: the
 * minimum cost of an attack. Sends its parent its address and pid; ends with it.
 */
import { readFileSync } from 'node:fs';
import { constants, createSecureServer } from 'node:http2';
import { status } from '@grpc/grpc-js';
import type { TlsFiles } from '@silo/rpc/tls.ts';

const tls: TlsFiles = JSON.parse(process.argv[2] ?? '');
const server = createSecureServer({ key: readFileSync(tls.key), cert: readFileSync(tls.cert) });
const refusal = {
  ...{ ':status': 200, 'content-type': 'application/grpc' },
  'grpc-status': status.RESOURCE_EXHAUSTED,
};

server.on('sessionError', () => {}); // an attacker may disconnect in any way
server.on('stream', (stream) => {
  stream.on('error', () => {});
  stream.respond(refusal, { endStream: true });
  stream.close(constants.NGHTTP2_NO_ERROR);
});
server.listen(0, '127.0.0.1', () => {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new TypeError('it has no port');
  process.send?.({ address: `127.0.0.1:${bound.port}`, pid: process.pid });
});
process.once('disconnect', () => process.exit());
