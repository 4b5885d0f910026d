import type { ProtectionName } from '@silo/guard/core/protections.ts';
import type { Violation } from './checker.ts';
import { runSchedule } from './schedule.ts';

/** Schedules with consecutive seeds. */
export type Batch = {
  firstSeed: number;
  schedules: number;
  off: ProtectionName | undefined;
  /** Whether to end at the first acceptance of removed access. */
  isControl: boolean;
};

/** The result of a batch. */
export type BatchResult = {
  schedules: number;
  violations: (Violation & { seed: number })[];
  returned: number;
  verified: number;
  fromMemory: number;
};

/** Runs one schedule after another. */
export function runBatch({ firstSeed, schedules, off, isControl }: Batch): BatchResult {
  const total: BatchResult = {
    schedules: 0,
    violations: [],
    returned: 0,
    verified: 0,
    fromMemory: 0,
  };
  for (let seed = firstSeed; seed < firstSeed + schedules; seed++) {
    const { violation, returned, verified, fromMemory } = runSchedule(seed, off);
    total.schedules++;
    total.returned += returned;
    total.verified += verified;
    total.fromMemory += fromMemory;
    if (violation === undefined) continue;
    total.violations.push({ ...violation, seed });
    if (isControl && violation.kind === 'safety') break;
  }
  return total;
}
