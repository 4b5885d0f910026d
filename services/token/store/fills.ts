import type { Fills } from '@silo/guard/access.ts';
import { isLive } from '@silo/guard/judge.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import type { Db } from 'mongodb';
import { createKeyStore } from './keys.ts';
import { LastUse } from './last-use.ts';
import { createProjectTokenStore } from './project-tokens.ts';

/** The facts that token owns. Asking for a key that works counts as a use of it. */
export function createTokenFills(db: Db, clock: Clock): Pick<Fills, 'token' | 'key'> {
  const keys = createKeyStore(db);
  const lastUse = new LastUse(keys, clock);
  return {
    token: createProjectTokenStore(db).readFact,
    key: async (keyHash, signal) => {
      const fact = await keys.readFact(keyHash, signal);
      if (isLive(fact, clock.now())) lastUse.note(fact);
      return fact;
    },
  };
}
