import type { ServerHttp2Stream } from 'node:http2';
import { status } from '@grpc/grpc-js';
import type { ListenerRefusal } from '@silo/runtime/listener-refusals.ts';

/**
 * The refusal of a closed stream that no handler has served: grpc-js answered it with an error, for
 * example because of its content type, its compression or its grpc-timeout. Undefined if it was
 * not answered, or without an error.
 */
export function libraryRefusal({
  sentHeaders = {},
  sentTrailers = {},
}: Pick<ServerHttp2Stream, 'sentHeaders' | 'sentTrailers'>):
  | { reason: ListenerRefusal; code: string | undefined }
  | undefined {
  const sent = sentTrailers['grpc-status'] ?? sentHeaders['grpc-status'];
  const isHttpError = Number(sentHeaders[':status'] ?? 200) !== 200;
  const code = Number(sent ?? status.OK);
  if (code === status.OK && !isHttpError) return undefined;
  return {
    reason: code === status.DEADLINE_EXCEEDED ? 'timeout' : 'invalid_call',
    code: sent === undefined ? undefined : status[code],
  };
}
