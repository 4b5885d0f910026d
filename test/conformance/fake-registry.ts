import { randomBytes } from 'node:crypto';
import { errors } from '@silo/errors/errors.ts';
import { toStatus } from '@silo/errors/to-status.ts';
import { type MessageKey, messageKey } from '@silo/events/authentication.ts';
import { haveReached, laterOf, type Positions } from '@silo/guard/core/position.ts';
import type { LeaseNumbers } from '@silo/guard/core/settings.ts';
import { fromLogPositions, toDuration, toLeaseTerms, toRenewResult } from '@silo/guard/wire.ts';
import type {
  MessageKeys,
  RegistryServiceServer,
} from '@silo/protos/gen/silo/token/internal/v1/registry_service.ts';

/** A received renewal. */
export type Renewal = { leaseId: string; applied: Positions; acknowledged: Positions };

/** Leases, requirement and keys, in memory; records the calls. */
export class FakeRegistry {
  /** The ids of all Acquire calls, whatever their result. */
  readonly requested: string[] = [];
  readonly acquired: string[] = [];
  readonly released: string[] = [];
  readonly renewals: Renewal[] = [];
  /** While false, no call is answered. */
  answers = true;
  /** This number of further new ids is refused as taken, also when they are sent again. */
  taken = 0;
  readonly broadcastKey: MessageKey;
  readonly #numbers: LeaseNumbers;
  readonly #broadcastSecret = randomBytes(32);
  readonly #secrets = new Map<string, Buffer>();
  readonly #taken = new Set<string>();
  #required: Positions = {};

  constructor(numbers: LeaseNumbers) {
    this.#numbers = numbers;
    this.broadcastKey = messageKey('broadcast-1', this.#broadcastSecret);
  }

  require(positions: Positions): void {
    this.#required = laterOf(this.#required, positions);
  }

  /** Deletes the lease, as if it had been silent for too long. */
  lose(leaseId: string): void {
    this.#secrets.delete(leaseId);
  }

  get lastLease(): string | undefined {
    return this.acquired.at(-1);
  }

  secretOf(leaseId: string) {
    const secret = this.#secrets.get(leaseId);
    return secret && messageKey(leaseId, secret).secret;
  }

  readonly service: RegistryServiceServer = {
    acquire: ({ request: { leaseId } }, answer) => {
      this.requested.push(leaseId);
      if (!this.answers) return;
      const isNew = !this.#secrets.has(leaseId) && !this.#taken.has(leaseId);
      if (isNew && this.taken-- > 0) this.#taken.add(leaseId);
      if (this.#taken.has(leaseId)) {
        const description = 'is taken';
        answer(toStatus(errors.invalidField([{ field: 'lease_id', description }])));
        return;
      }
      if (!this.#secrets.has(leaseId)) this.#secrets.set(leaseId, randomBytes(32));
      this.acquired.push(leaseId);
      answer(null, { terms: toLeaseTerms(this.#numbers), keys: this.#keysOf(leaseId) });
    },
    renew: ({ request }, answer) => {
      if (!this.answers) return;
      const { leaseId } = request;
      const applied = fromLogPositions(request.applied);
      const acknowledged = fromLogPositions(request.acknowledged);
      this.renewals.push({ leaseId, applied, acknowledged });
      if (!this.#secrets.has(leaseId)) {
        answer(null, { result: toRenewResult({ result: 'lost' }), keys: undefined });
        return;
      }
      const numbers = this.#numbers;
      const result = haveReached(applied, this.#required)
        ? ({ result: 'granted', numbers } as const)
        : ({ result: 'behind', required: this.#required, numbers } as const);
      answer(null, { result: toRenewResult(result), keys: this.#keysOf(leaseId) });
    },
    release: ({ request: { leaseId } }, answer) => {
      this.released.push(leaseId);
      this.lose(leaseId);
      answer(null, {});
    },
    reportKeyUse: (_call, answer) => answer(null, {}),
    // For sources; no guard calls it.
    raiseRequirement: (_call, answer) => answer(null, {}),
    awaitBarrier: (_call, answer) => answer(null, { propagation: undefined }),
  };

  #keysOf(leaseId: string): MessageKeys {
    const acknowledgementSecret = this.#secrets.get(leaseId) ?? Buffer.alloc(32);
    const validFor = toDuration(60_000);
    const key = { id: this.broadcastKey.id, secret: this.#broadcastSecret, validFor };
    return { acknowledgementSecret, broadcastKeys: [{ ...key, isSigning: true }] };
  }
}
