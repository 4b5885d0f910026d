import { errors } from '@silo/errors/errors.ts';
import type { Positions } from '@silo/guard/core/position.ts';
import { fromLogPositions, toLeaseTerms, toRenewResult } from '@silo/guard/wire.ts';
import { Role } from '@silo/protos/gen/silo/common/v1/authorization.ts';
import type { LogPosition } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import type {
  AcquireRequest,
  AcquireResponse,
  AwaitBarrierRequest,
  AwaitBarrierResponse,
  RaiseRequirementRequest,
  RaiseRequirementResponse,
  ReleaseRequest,
  ReleaseResponse,
  RenewRequest,
  RenewResponse,
  ReportKeyUseRequest,
  ReportKeyUseResponse,
} from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Call } from '@silo/rpc/call.ts';
import type { Dependencies } from '../dependencies.ts';

/** Acquire: writes a lease and grants no read lease. */
export async function acquire(
  { leaseId, guardName }: AcquireRequest,
  { actor, signal }: Call,
  { registry }: Dependencies,
): Promise<AcquireResponse> {
  const { numbers, keys } = await registry.for(actor).acquire(leaseId, guardName, signal);
  return { terms: toLeaseTerms(numbers), keys };
}

/** Renew: grants a read lease if the guard has applied the requirement. */
export async function renew(
  { leaseId, applied, acknowledged }: RenewRequest,
  { actor, signal }: Call,
  { registry }: Dependencies,
): Promise<RenewResponse> {
  const renewal = {
    leaseId,
    applied: fromLogPositions(applied),
    acknowledged: fromLogPositions(acknowledged),
  };
  const { answer, keys } = await registry.for(actor).renew(renewal, signal);
  return { result: toRenewResult(answer), keys };
}

/** Release: ends a lease, so that no barrier waits for its guard any more. */
export async function release(
  { leaseId }: ReleaseRequest,
  { actor, signal }: Call,
  { registry }: Dependencies,
): Promise<ReleaseResponse> {
  await registry.for(actor).release(leaseId, signal);
  return {};
}

/** ReportKeyUse: records the use of keys that guards have accepted, for their `last_use_time`. */
export async function reportKeyUse(
  { keys }: ReportKeyUseRequest,
  { actor, signal }: Call,
  { registry }: Dependencies,
): Promise<ReportKeyUseResponse> {
  await registry.for(actor).reportKeyUse(keys, signal);
  return {};
}

/** RaiseRequirement: requires every guard to apply the events that a relay has seen in its log. */
export async function raiseRequirement(
  { positions }: RaiseRequirementRequest,
  call: Call,
  { registry }: Dependencies,
): Promise<RaiseRequirementResponse> {
  await registry.raiseRequirement(ownPositions(positions, call), call.signal);
  return {};
}

/** AwaitBarrier: returns when no guard has a read lease without these positions. */
export async function awaitBarrier(
  { positions }: AwaitBarrierRequest,
  call: Call,
  { registry }: Dependencies,
): Promise<AwaitBarrierResponse> {
  const own = ownPositions(positions, call);
  return { propagation: await registry.awaitBarrier(own, call.signal) };
}

/**
 * Checks that all positions are in the caller's own log: only the caller knows which positions
 * exist there.
 */
function ownPositions(messages: readonly LogPosition[], { caller }: Call): Positions {
  const name = caller.kind === 'certificate' ? caller.name : undefined;
  if (messages.some(({ source }) => source !== name))
    throw errors.roleRequired([Role.ROLE_SERVICE]);
  const positions = fromLogPositions(messages);
  if (Object.keys(positions).length === 0) {
    throw errors.invalidField([
      { field: 'positions', description: 'must contain a position in a log' },
    ]);
  }
  return positions;
}
