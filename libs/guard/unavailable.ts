import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import type { GuardAction } from './core/messages.ts';

/** The error of a look-up that failed closed. */
export function unavailable(why: Extract<GuardAction, { kind: 'unavailable' }>['why']): SiloError {
  switch (why) {
    case 'no-view':
      return errors.dependencyUnavailable('the registry of guards');
    case 'fill-failed':
    case 'too-many-fills':
      return errors.dependencyUnavailable('the owners of facts', new Error(why));
  }
}
