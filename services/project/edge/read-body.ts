import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { constants, gunzip, gunzipSync } from 'node:zlib';
import { bodyText, gunzippedBytes, isGzip } from '../rules/edge/body-text.ts';
import { isTooDense } from '../rules/edge/density.ts';
import type { Share } from './held-bytes.ts';
import { HttpRefusal } from './http-refusal.ts';

/** Of a body, as it comes and unpacked. SDKs were seen to send 9 MB in one. */
const bodyBytesMax = 20 * 1024 * 1024;
/** Unpacking less in this thread is faster than giving it to another. */
const syncBytesMax = 16 * 1_024;
/** Where an SDK says its token first, it is in there: also packed, behind the code of its gzip. */
const startBytes = 256;
const unpack = promisify(gunzip);

type Dependencies = {
  /** Gets the beginning of the text when the first bytes are there. What it throws ends the reading. */
  onStart(text: string): void;
  /** Gets the end of the text of a body that is not packed, when all of it is there; may throw, too. */
  onEnd(text: string): void;
  /** Gets the size of the body, as what it unpacks to, when all of it is there. */
  beforeUnpacking(sizeBytes: number): Promise<void>;
};

/**
 * The text of a request's body, which `share` then counts.
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
    // The rest is discarded: a client that is cut off while it sends does not read the answer.
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
  // Not 0, which is no size. What unpacks to more than it says is refused.
  const options = { maxOutputLength: Math.max(1, size) };
  try {
    return bytes.length <= syncBytesMax ? gunzipSync(bytes, options) : await unpack(bytes, options);
  } catch {
    throw HttpRefusal.badBody('is not gzip of one member');
  }
}

/** The first characters of a body: '' where they cannot be read yet. */
function startOf(chunk: Buffer, contentType: string | undefined): string {
  const start = chunk.subarray(0, startBytes);
  if (!isGzip(start)) return bodyText(start, contentType);
  try {
    return bodyText(gunzipSync(start, { finishFlush: constants.Z_SYNC_FLUSH }), contentType);
  } catch {
    return '';
  }
}
