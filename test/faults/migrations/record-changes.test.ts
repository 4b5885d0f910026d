import test from 'ava';
import type { ChangeStreamDocument, Document } from 'mongodb';
import { afterChange } from './record-changes.ts';

const before = { _id: 'm', state: 4, progress: { copied: 1 }, failure: 'x' };
const update = (updatedFields: Document, removedFields: string[] = []) => ({
  ...{ operationType: 'update', documentKey: { _id: 'm' } },
  updateDescription: { updatedFields, removedFields },
});

const cases: { what: string; change: object; from?: Document; after: Document | undefined }[] = [
  {
    what: 'an insert',
    change: { operationType: 'insert', fullDocument: { _id: 'm', state: 1 } },
    after: { _id: 'm', state: 1 },
  },
  { what: 'a removal', change: { operationType: 'delete' }, from: before, after: undefined },
  { what: 'an update of an unknown document', change: update({ state: 5 }), after: undefined },
  {
    what: 'an update, including nested fields',
    change: update({ state: 5, 'progress.holdMs': 7, 'other.deep': 1 }, ['failure']),
    from: before,
    after: { _id: 'm', state: 5, progress: { copied: 1, holdMs: 7 }, other: { deep: 1 } },
  },
];

for (const { what, change, from, after } of cases) {
  test(`after ${what} the document is reconstructed as of that change`, (t) => {
    t.deepEqual(afterChange(from, change as ChangeStreamDocument), after);
    if (from !== undefined) t.deepEqual(from, before);
  });
}
