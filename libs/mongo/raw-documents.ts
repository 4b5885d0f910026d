import { createRequire } from 'node:module';

/** The driver's own class for documents that are encoded already: it builds bulk writes of it. */
const { DocumentSequence }: { DocumentSequence: new (field: string) => Sequence } = createRequire(
  import.meta.url,
)('mongodb/lib/cmap/commands.js');

type Sequence = { push(document: object, bytes: Uint8Array): number };

/**
 * Documents for a field of a command, such as `documents` of `insert`, as the bytes that they are. The
 * driver's public API takes objects alone: to decode a document and encode it again takes CPU, and
 * changes the order of some names. The driver deletes the field from the command: make one for each try.
 */
export function rawDocuments(field: string, documents: Iterable<Uint8Array>): object {
  const sequence = new DocumentSequence(field);
  for (const document of documents) sequence.push(document, document);
  return sequence;
}
