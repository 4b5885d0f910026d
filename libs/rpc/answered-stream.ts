import { constants, type ServerHttp2Stream } from 'node:http2';

/** How long an answer may take to leave when its client does not read. */
const flushMs = 100;

/**
 * Asks the client of an answered call to stop sending its request (RFC 9113, section 8.1). Does
 * nothing before the answer has left: nghttp2 drops what is queued on a stream that is reset. False
 * when it has to be called again.
 */
export function stopUpload(stream: ServerHttp2Stream): boolean {
  if (stream.closed || stream.destroyed) return true;
  if (stream.state.localClose !== 1) return false;
  stream.close(constants.NGHTTP2_NO_ERROR);
  return true;
}

/** Closes a stream whose answer has been queued, without waiting for the end of its request. */
export function closeAnswered(stream: ServerHttp2Stream): void {
  setImmediate(() => {
    if (stopUpload(stream)) return;
    setTimeout(() => {
      if (!stream.closed && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
    }, flushMs);
  });
}
