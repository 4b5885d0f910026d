import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { constants, gunzip, gunzipSync } from 'node:zlib';
import { bodyText, gunzippedBytes, isGzip } from '../rules/edge/body-text.ts';
import type { Share } from './held-bytes.ts';
import { HttpRefusal } from './http-refusal.ts';

/** Of a body, as it comes and unpacked. SDKs were seen to send 9 MB in one. */
const bodyBytesMax = 20 * 1024 * 1024;
/** Unpacking less in this thread is faster than giving it to another. */
const syncBytesMax = 16 * 1_024;
/** Where an SDK says its token first, it is in there: also packed, behind the code of its gzip. */
const startBytes = 256;
const unpack = promisify(gunzip);

/**
 * The text of a request's body, which `share` then counts. `onStart` gets the beginning of the text
 * when the first bytes are there: what it throws ends the reading.
 * Throws HttpRefusal: INVALID_BODY, BODY_TOO_LARGE, OVERLOADED.
 */
export async function readBody(
  request: IncomingMessage,
  share: Share,
  onStart: (text: string) => void,
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
  if (!isGzip(bytes)) return bodyText(bytes, contentType);
  const size = gunzippedBytes(bytes);
  if (size > bodyBytesMax) throw HttpRefusal.tooLarge(bodyBytesMax);
  share.grow(size);
  const text = bodyText(await gunzipped(bytes, size), contentType);
  share.shrink(received);
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
