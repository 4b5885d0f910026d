/** The settings of a guard. Those of the lease come from the registry with each lease. */
export type GuardSettings = {
  /** A name for logs; it need not be unique. */
  guardName: string;
  /** Maximum of remembered facts of each kind. */
  factsMax: number;
  /** Maximum of remembered "unknown" facts of each kind. */
  unknownMax: number;
  /** Maximum of fact fetches in flight; beyond it, lookups fail. */
  fetchesMax: number;
  /**
   * Maximum duration of a permit. It also ends with its read lease: the one under which it was
   * taken, or a later one that was granted while its facts still held.
   */
  permitMs: number;
  /** A first request without an answer is sent again after this time; see `requestTimeoutMs`. */
  requestMs: number;
  /** Wait after a failed request. */
  retryMs: number;
  /** Makes the id of a lease, which must be unique everywhere. */
  newLeaseId: () => string;
};

/** The settings of a lease, from the registry. */
export type LeaseNumbers = {
  /** L: the time that a barrier waits for a silent guard. */
  leaseMs: number;
  /** A granted lease is renewed this long after the last renewal was sent. */
  renewMs: number;
  /** Maximum drift between the clocks of two machines, as a share of the time. */
  driftShare: number;
};

/** The wait for an answer is doubled at most this number of times. */
const doublingsMax = 2;

/**
 * How long a request waits for its answer before it is sent again. The time doubles with each
 * unanswered request, so that a slow server gets fewer requests and has time to answer one.
 */
export function requestTimeoutMs({ requestMs }: GuardSettings, unanswered: number): number {
  return requestMs * 2 ** Math.min(unanswered, doublingsMax);
}

/** Rejects settings that cannot work. Throws RangeError. */
export function checkGuardSettings(settings: GuardSettings): void {
  for (const name of ['factsMax', 'unknownMax', 'fetchesMax'] as const) {
    if (!Number.isInteger(settings[name]) || settings[name] < 1) {
      throw new RangeError(`${name} must be a whole number of at least 1`);
    }
  }
  for (const name of ['permitMs', 'requestMs', 'retryMs'] as const) {
    if (!(settings[name] > 0) || !Number.isFinite(settings[name])) {
      throw new RangeError(`${name} must be greater than 0`);
    }
  }
}

/**
 * Rejects settings of a lease that would be unsafe or would lapse between renewals. Throws
 * RangeError.
 */
export function checkLeaseNumbers({ leaseMs, renewMs, driftShare }: LeaseNumbers): void {
  if (!(leaseMs > 0) || !Number.isFinite(leaseMs)) throw new RangeError('leaseMs must be positive');
  // Quartz and virtual clocks drift far less than 0.1 %; with a smaller share the fence would have
  // no margin.
  if (!(driftShare >= 0.001 && driftShare <= 0.5)) {
    throw new RangeError('driftShare must be from 0.001 to 0.5');
  }
  // One renewal may be lost without the end of the read lease.
  if (!(renewMs > 0) || renewMs * 2 > readLeaseMsOf({ leaseMs, driftShare })) {
    throw new RangeError('renewMs must be at most half of a read lease');
  }
}

/** How long a read lease lasts: the lease minus the drift. */
export function readLeaseMsOf({ leaseMs, driftShare }: Omit<LeaseNumbers, 'renewMs'>): number {
  return leaseMs * (1 - driftShare);
}
