import type { RegistrySettings } from '@silo/token-service/registry/settings.ts';

/** A lease of the simulated world. */
export const leaseMs = 1_000;

export const registrySettings: RegistrySettings = {
  leaseMs,
  renewMs: 300,
  driftShare: 0.01,
  relistMs: 100,
  sweepMs: 400,
};

/** Settings of a replica that differs. */
export const shortLeases: RegistrySettings = {
  ...registrySettings,
  leaseMs: leaseMs / 2,
  renewMs: 150,
  sweepMs: 200,
};

/** The settings of every guard, except its name, ids and memory. */
export const guardNumbers = {
  unknownMax: 10,
  fetchesMax: 50,
  permitMs: 2_500,
  requestMs: 150,
  retryMs: 40,
};
