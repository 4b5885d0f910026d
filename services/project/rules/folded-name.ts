import { fold, foldVersion } from '@silo/runtime/fold.ts';
import type { ProjectDocument } from '../store/documents.ts';

/** The fields by which a name is found regardless of its case and normal form. */
export function foldedName(name: string): Pick<ProjectDocument, 'searchName' | 'foldVersion'> {
  return { searchName: fold(name), foldVersion };
}
