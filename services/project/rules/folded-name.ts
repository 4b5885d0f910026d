import { fold, foldVersion } from '@silo/runtime/fold.ts';
import type { ProjectDocument } from '../store/documents.ts';

/** What is stored beside a name, so that it is found whatever its case and normal form. */
export function foldedName(name: string): Pick<ProjectDocument, 'searchName' | 'foldVersion'> {
  return { searchName: fold(name), foldVersion };
}
