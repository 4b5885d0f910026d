import type { FactReader } from '@silo/access/access.ts';
import { hashOf } from '@silo/tokens/secrets.ts';
import type { FactRef, FactValues } from './core/facts.ts';

/** Reads a fact from its owner; undefined if it does not exist. */
export async function fetchFact(
  factReader: FactReader,
  { kind, id }: FactRef,
  signal: AbortSignal,
): Promise<FactValues[keyof FactValues] | undefined> {
  switch (kind) {
    case 'token':
      return await factReader.token(hashOf(id), signal);
    case 'key':
      return await factReader.key(Buffer.from(id, 'hex'), signal);
    case 'project':
      return await factReader.project(id, signal);
    case 'organization':
      return await factReader.organization(id, signal);
    case 'membership': {
      const [accountId = '', organizationId = ''] = id.split(' ');
      return await factReader.membership(accountId, organizationId, signal);
    }
  }
}
