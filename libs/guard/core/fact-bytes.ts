const textBytes = 24;
const objectBytes = 48;
const otherBytes = 8;

/**
 * An estimate of the memory that a fact holds: it is computed once, when the fact is remembered.
 */
export function factBytes(value: unknown): number {
  if (typeof value === 'string') return textBytes + Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null) return otherBytes;
  if (ArrayBuffer.isView(value)) return objectBytes + value.byteLength;
  let bytes = objectBytes;
  for (const each of Object.values(value)) bytes += factBytes(each);
  return bytes;
}
