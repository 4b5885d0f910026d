import type { FactReader } from '@silo/access/access.ts';
import type { Db } from 'mongodb';
import { createKeyStore } from './keys.ts';
import { createProjectTokenStore } from './project-tokens.ts';

/** The facts that token owns. */
export function createTokenFactReader(db: Db): Pick<FactReader, 'token' | 'key'> {
  return { token: createProjectTokenStore(db).readFact, key: createKeyStore(db).readFact };
}
