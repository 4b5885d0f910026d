import type { Permit as HeldPermit } from '@silo/access/permits.ts';
import type { GuardCore } from './core/guard-core.ts';
import type { GuardInput } from './core/messages.ts';
import type { Permit } from './core/permits.ts';
import { readClocks } from './read-clocks.ts';

/**
 * A permit of the core for its holder. If the core granted none, the permit is never held: it fails
 * closed.
 */
export function permitHandle(
  core: GuardCore,
  permit: Permit | undefined,
  step: (input: GuardInput) => void,
): HeldPermit {
  if (permit === undefined) return { remainingMs: () => 0, release: () => {} };
  return {
    remainingMs: () => core.permitRemainingMs(permit, readClocks()),
    release: () => step({ kind: 'releasePermit', permit }),
  };
}
