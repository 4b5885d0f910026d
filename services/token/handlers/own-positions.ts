import { errors } from '@silo/errors/errors.ts';
import type { Positions } from '@silo/guard/core/position.ts';
import { fromLogPositions } from '@silo/guard/wire.ts';
import { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import type { LogPosition } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import type { Call } from '@silo/rpc/call.ts';

/** Positions of the caller's own log: nobody else knows whether there is such a place. */
export function ownPositions(messages: readonly LogPosition[], { caller }: Call): Positions {
  const name = caller.kind === 'certificate' ? caller.name : undefined;
  if (messages.some(({ source }) => source !== name))
    throw errors.roleRequired([Role.ROLE_SERVICE]);
  const positions = fromLogPositions(messages);
  if (Object.keys(positions).length === 0) {
    throw errors.invalidField([{ field: 'positions', description: 'must name a place in a log' }]);
  }
  return positions;
}
