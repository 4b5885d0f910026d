import type { Server, ServerDuplexStream } from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import { toStatus } from '@silo/errors/to-status.ts';

const identity = (bytes: Buffer) => bytes;

/**
 * Answers calls of methods that are not there with UNKNOWN_METHOD. grpc-js 1.14 has no public way
 * to do so: without its private look-up it would answer UNIMPLEMENTED with no details.
 */
export function refuseUnknownMethods(server: Server): void {
  const lookUp: unknown = Reflect.get(server, '_retrieveHandler');
  if (typeof lookUp !== 'function') throw new TypeError('grpc-js looks handlers up in another way');
  const retrieve = (path: string) => {
    const known: unknown = Reflect.apply(lookUp, server, [path]);
    return known ?? unknownMethod(path);
  };
  Object.defineProperty(server, '_retrieveHandler', { value: retrieve });
}

function unknownMethod(path: string) {
  const refuse = (call: ServerDuplexStream<Buffer, Buffer>) => {
    call.emit('error', toStatus(errors.unknownMethod(path)));
  };
  // As a stream in both directions, it is refused before any message arrives.
  return { type: 'bidi', path, func: refuse, serialize: identity, deserialize: identity };
}
