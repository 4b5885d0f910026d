import type { Server, ServerDuplexStream } from '@grpc/grpc-js';
import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import { toStatus } from '@silo/errors/to-status.ts';

type ReportUnknown = (call: object, path: string, error: SiloError) => void;

const identity = (bytes: Buffer) => bytes;

/**
 * Returns UNKNOWN_METHOD for unknown methods. grpc-js 1.14 has no public API for this: it would
 * return UNIMPLEMENTED without details. Each such call is reported.
 */
export function refuseUnknownMethods(server: Server, report: ReportUnknown): void {
  const lookUp: unknown = Reflect.get(server, '_retrieveHandler');
  if (typeof lookUp !== 'function')
    throw new TypeError('this version of grpc-js looks up handlers differently');
  const retrieve = (path: string) => {
    const known: unknown = Reflect.apply(lookUp, server, [path]);
    return known ?? unknownMethod(path, report);
  };
  Object.defineProperty(server, '_retrieveHandler', { value: retrieve });
}

function unknownMethod(path: string, report: ReportUnknown) {
  const refuse = (call: ServerDuplexStream<Buffer, Buffer>) => {
    const error = errors.unknownMethod(path);
    report(call, path, error);
    call.emit('error', toStatus(error));
  };
  // As a bidirectional stream, the call is rejected before any message arrives.
  return { type: 'bidi', path, func: refuse, serialize: identity, deserialize: identity };
}
