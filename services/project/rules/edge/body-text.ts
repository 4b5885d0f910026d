/**
 * Whether the bytes are gzip (RFC 1952). SDKs send gzip with and without a header that declares it.
 */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * The unpacked size of a gzip of one member, from its last four bytes. A sender may lie: unpack no
 * more than that.
 */
export function gunzippedBytes(bytes: Buffer): number {
  return bytes.length < 18 ? 0 : bytes.readUInt32LE(bytes.length - 4);
}

/**
 * The JSON text of a body: in the charset of its content type, or UTF-8 if that is unknown; or
 * base64 in the field `data` of a form. Bytes that are invalid in the charset become U+FFFD.
 */
export function bodyText(bytes: Uint8Array, contentType: string | undefined): string {
  const text = decode(bytes, contentType);
  if (!text.startsWith('data=')) return text;
  // Parse only the first field: a form may have millions.
  const end = text.indexOf('&');
  const data = new URLSearchParams(end < 0 ? text : text.slice(0, end)).get('data') ?? '';
  // In a form that is not percent-encoded, `+` was parsed as a space.
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
