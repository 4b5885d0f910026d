import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';

/** How long an answer may take to leave if its client does not read. */
const flushMs = 100;

/**
 * Asks the client of an answered call to stop sending its request (RFC 9113, section 8.1). Returns
 * false if it must be called again: before the answer has left it does nothing, because nghttp2
 * drops what is queued on a stream that is reset.
 */
export function stopUpload(stream: ServerHttp2Stream): boolean {
  if (stream.closed || stream.destroyed) return true;
  if (stream.state.localClose !== 1) return false;
  stream.close(constants.NGHTTP2_NO_ERROR);
  return true;
}

/**
 * Ends a stream with these headers alone, without waiting for the end of its request. grpc-js may
 * already serve the call and answer it later, which would make Node throw; that answer is dropped.
 */
export function answerEarly(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders): void {
  stream.respond(headers, { endStream: true });
  stream.respond = () => {};
  setImmediate(() => {
    if (stopUpload(stream)) return;
    setTimeout(() => {
      if (!stream.closed && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
    }, flushMs);
  });
}
