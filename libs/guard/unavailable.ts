import { errors } from '@silo/errors/errors.ts';
import type { SiloError } from '@silo/errors/silo-error.ts';
import type { GuardAction } from './core/messages.ts';

/** The error of a lookup that failed closed. */
export function unavailable(why: Extract<GuardAction, { kind: 'unavailable' }>['why']): SiloError {
  switch (why) {
    case 'no-read-lease':
      return errors.dependencyUnavailable('the access registry');
    case 'fetch-failed':
    case 'too-many-fetches':
      return errors.dependencyUnavailable('the owners of facts', new Error(why));
  }
}
