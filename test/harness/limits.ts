import { variableOf } from '@silo/runtime/config.ts';
import type { ServiceConfig } from '@silo/service/config.ts';

/** Tests call from one address, faster than people, and with wrong keys on purpose. */
export const generousLimits = {
  connectionsMax: 100_000,
  connectionsPerAddressMax: 100_000,
  rateWindowMs: 10_000,
  rateAddressPoints: 1_000_000_000,
  rateAccountCalls: 1_000_000_000,
  rateOrganizationCalls: 1_000_000_000,
  rateProjectCaptures: 1_000_000_000,
  rateSignupsPerHour: 1_000_000_000,
} satisfies Partial<ServiceConfig>;

/** The same as variables for processes. */
export const generousLimitVariables: Record<string, string> = Object.fromEntries(
  Object.entries(generousLimits).map(([key, value]) => [variableOf(key), String(value)]),
);
