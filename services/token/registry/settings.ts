import { checkLeaseNumbers, type LeaseNumbers } from '@silo/guard/core/settings.ts';

/** The settings of a registry's replica. All replicas have the same. */
export type RegistrySettings = LeaseNumbers & {
  /**
   * Interval at which a waiting barrier looks for acknowledgements that another replica received.
   */
  relistMs: number;
  /** Interval at which a replica looks for dead leases. */
  sweepMs: number;
};

/** The cost of each list grows with the number of guards. */
const relistMs = 250;

/** Returns the settings of every replica of a deployment with these lease settings. */
export function registrySettingsFor(numbers: LeaseNumbers): RegistrySettings {
  const { leaseMs } = numbers;
  return { ...numbers, relistMs: Math.min(relistMs, leaseMs / 2), sweepMs: leaseMs / 4 };
}

/** Throws RangeError for settings that could not work. */
export function checkRegistrySettings(settings: RegistrySettings): void {
  checkLeaseNumbers(settings);
  const { relistMs, sweepMs, leaseMs } = settings;
  if (!(relistMs > 0) || relistMs > leaseMs) {
    throw new RangeError('relistMs must be positive and at most leaseMs');
  }
  // A lease that is renewed never appears dead if it is seen this often.
  if (!(sweepMs > 0) || sweepMs * 2 > leaseMs) {
    throw new RangeError('sweepMs must be positive and at most half of leaseMs');
  }
}
