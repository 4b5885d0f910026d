/**
 * An HTTP/2 server over TLS that refuses every call at once and does nothing else, in a process of
 * its own: the least that an attack costs. Sends its parent its address and pid; ends with it.
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

server.on('sessionError', () => {}); // an attacker leaves as it likes
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
