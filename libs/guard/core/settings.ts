/** The numbers of a guard. The lease's own come from the registry with each lease. */
export type GuardSettings = {
  /** A name for logs; it need not be unique. */
  guardName: string;
  /** Remembered facts of each kind. */
  factsMax: number;
  /** Remembered "there is none" of each kind. */
  unknownMax: number;
  /** Fills in flight; beyond them lookups fail. */
  fetchesMax: number;
  /**
   * A permit ends after this at the latest, and with its read lease: that which it was taken under, or a
   * later one that was granted while its facts held.
   */
  permitMs: number;
  /** A first request without an answer is sent again after this; see `patienceMs`. */
  requestMs: number;
  /** How long a guard waits after a request that failed. */
  retryMs: number;
  /** Makes the id of a lease, never the same twice anywhere. */
  newLeaseId: () => string;
};

/** The settings of a lease, from the registry. */
export type LeaseNumbers = {
  /** L: how long a barrier waits for a silent guard. */
  leaseMs: number;
  /** A granted lease is renewed this long after the last renewal was sent. */
  renewMs: number;
  /** By how much the clocks of two machines may drift apart, as a share of the time. */
  driftShare: number;
};

/** After so many doublings a request waits no longer. */
const doublingsMax = 2;

/**
 * How long a request waits for its answer until it is sent again. It doubles with each one that was
 * not answered: a server that is slow gets fewer requests, and time enough to answer one.
 */
export function requestTimeoutMs({ requestMs }: GuardSettings, unanswered: number): number {
  return requestMs * 2 ** Math.min(unanswered, doublingsMax);
}

/** Refuses numbers that could not work. Throws RangeError. */
export function checkGuardSettings(settings: GuardSettings): void {
  for (const name of ['factsMax', 'unknownMax', 'fetchesMax'] as const) {
    if (!Number.isInteger(settings[name]) || settings[name] < 1) {
      throw new RangeError(`${name} is a whole number from 1`);
    }
  }
  for (const name of ['permitMs', 'requestMs', 'retryMs'] as const) {
    if (!(settings[name] > 0) || !Number.isFinite(settings[name])) {
      throw new RangeError(`${name} is greater than 0`);
    }
  }
}

/** Refuses a lease that would be dangerous or would lapse between renewals. Throws RangeError. */
export function checkLeaseNumbers({ leaseMs, renewMs, driftShare }: LeaseNumbers): void {
  if (!(leaseMs > 0) || !Number.isFinite(leaseMs)) throw new RangeError('leaseMs is positive');
  // Quartz and virtual clocks stay well below 0.1 %; without a margin the fence has none.
  if (!(driftShare >= 0.001 && driftShare <= 0.5)) {
    throw new RangeError('driftShare is from 0.001 to 0.5');
  }
  // One renewal may be lost without the read lease lapsing.
  if (!(renewMs > 0) || renewMs * 2 > readLeaseMsOf({ leaseMs, driftShare })) {
    throw new RangeError('renewMs is at most half of a read lease');
  }
}

/** How long a read lease lasts: the lease less the drift. */
export function readLeaseMsOf({ leaseMs, driftShare }: Omit<LeaseNumbers, 'renewMs'>): number {
  return leaseMs * (1 - driftShare);
}
