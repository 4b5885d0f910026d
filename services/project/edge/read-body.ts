import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { constants, gunzip, gunzipSync } from 'node:zlib';
import { bodyText, gunzippedBytes, isGzip } from '../rules/edge/body-text.ts';
import { isTooDense } from '../rules/edge/density.ts';
import type { Share } from './held-bytes.ts';
import { HttpRefusal } from './http-refusal.ts';

/**
 * Maximum size of a body, both as received and unpacked. SDKs were seen to send 9 MB in one body.
 */
const bodyBytesMax = 20 * 1024 * 1024;
/** Unpacking less than this in this thread is faster than in another one. */
const syncBytesMax = 16 * 1_024;
/**
 * Number of bytes that contain the token if the SDK sends it first, even compressed, after the
 * Huffman codes.
 */
const startBytes = 256;
const unpack = promisify(gunzip);

type Dependencies = {
  /**
   * Receives the beginning of the text after the first bytes. An error that it throws ends the
   * reading.
   */
  onStart(text: string): void;
  /** Receives the end of an uncompressed body after the last byte. May throw, too. */
  onEnd(text: string): void;
  /** Receives the unpacked size of the body after the last byte. */
  beforeUnpacking(sizeBytes: number): Promise<void>;
};

/**
 * Returns the text of a request's body, which `share` then counts.
 * Throws HttpRefusal: INVALID_BODY, BODY_TOO_LARGE, OVERLOADED.
 */
export async function readBody(
  request: IncomingMessage,
  share: Share,
  { onStart, onEnd, beforeUnpacking }: Dependencies,
): Promise<string> {
  const contentType = request.headers['content-type'];
  const chunks: Buffer[] = [];
  let received = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      if (received === 0) onStart(startOf(chunk, contentType));
      received += chunk.length;
      if (received > bodyBytesMax) throw HttpRefusal.tooLarge(bodyBytesMax);
      share.receive(chunk.length);
      chunks.push(chunk);
    }
  } catch (error) {
    // Discard the rest: a client that is cut off while it sends does not read the response.
    request.resume();
    throw error;
  }
  const bytes = Buffer.concat(chunks);
  const isPacked = isGzip(bytes);
  const size = isPacked ? gunzippedBytes(bytes) : received;
  if (size > bodyBytesMax) throw HttpRefusal.tooLarge(bodyBytesMax);
  if (!isPacked) onEnd(bodyText(bytes.subarray(-startBytes), contentType));
  await beforeUnpacking(size);
  if (isPacked) share.grow(size);
  const text = bodyText(isPacked ? await gunzipped(bytes, size) : bytes, contentType);
  if (isPacked) share.shrink(received);
  if (isTooDense(text)) throw HttpRefusal.badBody('has too many values');
  return text;
}

async function gunzipped(bytes: Buffer, size: number): Promise<Buffer> {
  // The option must be positive. A body that unpacks to more than it declares is refused.
  const options = { maxOutputLength: Math.max(1, size) };
  try {
    return bytes.length <= syncBytesMax ? gunzipSync(bytes, options) : await unpack(bytes, options);
  } catch {
    throw HttpRefusal.badBody('is not gzip of one member');
  }
}

/** The first characters of a body; '' if they cannot be decoded yet. */
function startOf(chunk: Buffer, contentType: string | undefined): string {
  const start = chunk.subarray(0, startBytes);
  if (!isGzip(start)) return bodyText(start, contentType);
  try {
    return bodyText(gunzipSync(start, { finishFlush: constants.Z_SYNC_FLUSH }), contentType);
  } catch {
    return '';
  }
}
