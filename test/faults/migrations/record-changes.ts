import type { ChangeStreamDocument, Document } from 'mongodb';

/**
 * A document right after a change in a change stream, whatever has followed. Undefined if it is
 * unknown or was removed.
 */
export function afterChange(
  before: Document | undefined,
  change: ChangeStreamDocument,
): Document | undefined {
  switch (change.operationType) {
    case 'insert':
    case 'replace':
      return change.fullDocument;
    case 'update': {
      if (before === undefined) return undefined;
      const { updatedFields = {}, removedFields = [] } = change.updateDescription;
      const after = structuredClone(before);
      for (const [path, value] of Object.entries(updatedFields)) {
        const { parent, name } = placeOf(after, path);
        parent[name] = value;
      }
      for (const path of removedFields) {
        const { parent, name } = placeOf(after, path);
        delete parent[name];
      }
      return after;
    }
    default:
      return undefined;
  }
}

/** The object that contains the last name of a dotted path; created if it is missing. */
function placeOf(document: Document, path: string): { parent: Document; name: string } {
  const names = path.split('.');
  const name = names.pop() ?? '';
  let parent = document;
  for (const each of names) {
    parent[each] ??= {};
    parent = parent[each];
  }
  return { parent, name };
}
