import { checkLeaseNumbers, type LeaseNumbers } from '@silo/guard/core/settings.ts';

/** The numbers of a registry's replica. All replicas have the same. */
export type RegistrySettings = LeaseNumbers & {
  /** How often a waiting barrier looks for acknowledgements that another replica received. */
  relistMs: number;
  /** How often a replica looks for dead leases. */
  sweepMs: number;
};

/** Each list costs as much as there are guards. */
const relistMs = 250;

/** The settings of every replica of a deployment with these leases. */
export function registrySettingsFor(numbers: LeaseNumbers): RegistrySettings {
  const { leaseMs } = numbers;
  return { ...numbers, relistMs: Math.min(relistMs, leaseMs / 2), sweepMs: leaseMs / 4 };
}

/** Refuses numbers that could not work. Throws RangeError. */
export function checkRegistrySettings(settings: RegistrySettings): void {
  checkLeaseNumbers(settings);
  const { relistMs, sweepMs, leaseMs } = settings;
  if (!(relistMs > 0) || relistMs > leaseMs) {
    throw new RangeError('relistMs is positive and at most leaseMs');
  }
  // Seen that often, a lease that is renewed never looks dead.
  if (!(sweepMs > 0) || sweepMs * 2 > leaseMs) {
    throw new RangeError('sweepMs is positive and at most half of leaseMs');
  }
}
