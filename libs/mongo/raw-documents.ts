import { createRequire } from 'node:module';

/** The driver's own class for documents that are already encoded; it uses it for bulk writes. */
const { DocumentSequence }: { DocumentSequence: new (field: string) => Sequence } = createRequire(
  import.meta.url,
)('mongodb/lib/cmap/commands.js');

type Sequence = { push(document: object, bytes: Uint8Array): number };

/**
 * Documents for a field of a command, such as `documents` of `insert`, as encoded bytes. The
 * driver's public API accepts only objects, and decoding a document to encode it again takes CPU
 * and changes the order of some names. The driver deletes the field from the command, so make one
 * for each attempt.
 */
export function rawDocuments(field: string, documents: Iterable<Uint8Array>): object {
  const sequence = new DocumentSequence(field);
  for (const document of documents) sequence.push(document, document);
  return sequence;
}
