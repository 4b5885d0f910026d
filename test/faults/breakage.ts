/** An injected fault in a database, and functions that make one. */

import type { Document } from 'mongodb';
import type { Story } from './story.ts';

export type Breakage = {
  what: string;
  /** `<service>.<collection>` that is changed. */
  where: string;
  spoil: (documents: Document[], story: Story) => Document[];
  /** The invariant whose violation must be found. */
  found: string;
};

/** Changes the first document that matches. */
export function change(
  documents: Document[],
  matches: (document: Document) => boolean,
  values: (document: Document) => Document,
): Document[] {
  const index = documents.findIndex(matches);
  const found = documents[index];
  if (found === undefined) throw new Error('there is nothing to spoil');
  return documents.with(index, { ...found, ...values(found) });
}

/** Omits the first document that matches. */
export function omit(documents: Document[], matches: (document: Document) => boolean): Document[] {
  const index = documents.findIndex(matches);
  if (index < 0) throw new Error('there is nothing to leave out');
  return documents.toSpliced(index, 1);
}

/** Exchanges the sequences of the first events of two kinds. */
export function exchange(documents: Document[], one: string, other: string): Document[] {
  const first = documents.findIndex(({ event }) => event === one);
  const second = documents.findIndex(({ event }) => event === other);
  const [a, b] = [documents[first], documents[second]];
  if (a === undefined || b === undefined) throw new Error('there is nothing to exchange');
  return documents.with(first, { ...b, _id: a._id }).with(second, { ...a, _id: b._id });
}

/** Repeats the first event of a kind at the end of the log. */
export function again(documents: Document[], event: string): Document[] {
  const original = documents.find((each) => each.event === event);
  if (original === undefined) throw new Error('there is no event to repeat');
  return [...documents, { ...original, _id: documents.length + 1, id: 'again' }];
}

export const any = () => true;
export const withBody = (document: Document, values: Document) => ({
  body: JSON.stringify({ ...JSON.parse(document.body), ...values }),
});
