/** Whether these bytes are gzip (RFC 1952): SDKs send it with and without a header that says so. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * How many bytes a gzip of one member unpacks to, by its last four bytes. A sender may lie: unpack no
 * more than that.
 */
export function gunzippedBytes(bytes: Buffer): number {
  return bytes.length < 18 ? 0 : bytes.readUInt32LE(bytes.length - 4);
}

/**
 * The JSON text of a body: in the charset of its content type, UTF-8 unless that is known, or in the
 * field `data` of a form, as base64. What is no text in that charset becomes U+FFFD.
 */
export function bodyText(bytes: Uint8Array, contentType: string | undefined): string {
  const text = decode(bytes, contentType);
  if (!text.startsWith('data=')) return text;
  // Of a form of millions of fields only the first is looked at.
  const end = text.indexOf('&');
  const data = new URLSearchParams(end < 0 ? text : text.slice(0, end)).get('data') ?? '';
  // A form that is not percent-encoded turns `+` into spaces.
  return decode(Buffer.from(data.replaceAll(' ', '+'), 'base64'), undefined);
}

function decode(bytes: Uint8Array, contentType: string | undefined): string {
  const [, charset = 'utf-8'] = /;\s*charset="?([\w:.+-]+)/i.exec(contentType ?? '') ?? [];
  return decoderOf(charset).decode(bytes);
}

function decoderOf(charset: string): { decode(bytes: Uint8Array): string } {
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder();
  }
}
