import { SiloError } from '@silo/errors/silo-error.ts';
import { ErrorReason } from '@silo/protos/gen/silo/common/v1/error_reason.ts';
import type { Propagation } from '@silo/protos/gen/silo/common/v1/propagation.ts';
import type {
  MessageKeys,
  RegistryServiceClient,
  UsedKey,
} from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';
import type { Connected } from '@silo/rpc/client.ts';
import type { RenewAnswer } from './core/messages.ts';
import type { Positions } from './core/position.ts';
import type { LeaseNumbers } from './core/settings.ts';
import { fromLeaseTerms, fromRenewResponse, toLogPositions } from './wire.ts';

/** The calls of a guard to the registry, for its lease. All reject if there is no response. */
export type LeaseClient = {
  /** Rejects with INVALID_FIELD if the lease id was released, or belongs to another certificate. */
  acquire(leaseId: string, guardName: string, signal: AbortSignal): Promise<Acquired>;
  renew(renewal: Renewal, signal: AbortSignal): Promise<Renewed>;
  release(leaseId: string, signal: AbortSignal): Promise<void>;
  reportKeyUse(keys: UsedKey[], signal: AbortSignal): Promise<void>;
};

/** The lease as it was written; `keys` is undefined if the registry does not support them. */
export type Acquired = { numbers: LeaseNumbers; keys: MessageKeys | undefined };

/** The result of a renewal; also without keys if the lease is lost. */
export type Renewed = { answer: RenewAnswer; keys: MessageKeys | undefined };

export type Renewal = { leaseId: string; applied: Positions; acknowledged: Positions };

/** The further calls of an event source to the registry. */
export type Registry = LeaseClient & {
  /** Resolves when the positions, all of the caller's own log, are required, durably. */
  raiseRequirement(positions: Positions, signal: AbortSignal): Promise<void>;
  /**
   * Resolves when every guard with a read lease has applied the positions, all of the caller's own
   * log. Rejects with PROPAGATION_UNCONFIRMED or DEPENDENCY_UNAVAILABLE if that could not be
   * confirmed, and with the signal's reason.
   */
  awaitBarrier(positions: Positions, signal: AbortSignal): Promise<Propagation>;
};

/** A renewal that is answered late is still valid, counted from when it was sent. */
const leaseDeadlineMs = 5_000;
/** A barrier takes at most as long as a lease; the caller's own deadline is usually shorter. */
const barrierDeadlineMs = 30_000;

/** The registry over the internal port of the token service. */
export function createRegistryClient(client: Connected<RegistryServiceClient>): Registry {
  const quick = (signal: AbortSignal) => ({ signal, deadlineMs: leaseDeadlineMs });
  return {
    acquire: async (leaseId, guardName, signal) => {
      const options = { ...quick(signal), refusals: true };
      const { terms, keys } = await client.acquire({ leaseId, guardName }, options);
      return { numbers: fromLeaseTerms(terms), keys };
    },
    renew: async ({ leaseId, applied, acknowledged }, signal) => {
      const request = {
        leaseId,
        applied: toLogPositions(applied),
        acknowledged: toLogPositions(acknowledged),
      };
      const response = await client.renew(request, quick(signal));
      return { answer: fromRenewResponse(response), keys: response.keys };
    },
    release: async (leaseId, signal) => {
      await client.release({ leaseId }, { ...quick(signal), retry: true });
    },
    reportKeyUse: async (keys, signal) => {
      await client.reportKeyUse({ keys }, quick(signal));
    },
    raiseRequirement: async (positions, signal) => {
      await client.raiseRequirement({ positions: toLogPositions(positions) }, quick(signal));
    },
    awaitBarrier: async (positions, signal) => {
      const { propagation } = await client.awaitBarrier(
        { positions: toLogPositions(positions) },
        { signal, deadlineMs: barrierDeadlineMs, refusals: true },
      );
      if (propagation === undefined) throw new TypeError('a barrier without a report');
      return propagation;
    },
  };
}

/**
 * For a refused `acquire`: the id was released, or belongs to another certificate. The registry
 * refuses no other field.
 */
export function takenIfRefused(error: unknown): 'taken' {
  const isRefused =
    error instanceof SiloError && error.reason === ErrorReason.ERROR_REASON_INVALID_FIELD;
  if (isRefused) return 'taken';
  throw error;
}
