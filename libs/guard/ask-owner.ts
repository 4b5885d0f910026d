import type { Fills } from '@silo/access/access.ts';
import { hashOf } from '@silo/tokens/secrets.ts';
import type { FactRef, FactValues } from './core/facts.ts';

/** Asks a fact's owner; undefined: there is none. */
export async function askOwner(
  fills: Fills,
  { kind, id }: FactRef,
  signal: AbortSignal,
): Promise<FactValues[keyof FactValues] | undefined> {
  switch (kind) {
    case 'token':
      return await fills.token(hashOf(id), signal);
    case 'key':
      return await fills.key(Buffer.from(id, 'hex'), signal);
    case 'project':
      return await fills.project(id, signal);
    case 'organization':
      return await fills.organization(id, signal);
    case 'membership': {
      const [accountId = '', organizationId = ''] = id.split(' ');
      return await fills.membership(accountId, organizationId, signal);
    }
  }
}
