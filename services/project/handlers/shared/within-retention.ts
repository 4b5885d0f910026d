import { type Call, targetProject } from '@silo/rpc/call.ts';
import type { Clock } from '@silo/runtime/clock.ts';
import type { CheckedFilter } from '../../rules/events/filter.ts';
import { keptSince, since } from '../../rules/events/retention.ts';

/** The filter, without events that are older than the settings of the target project keep them. */
export function withinRetention(filter: CheckedFilter, call: Call, clock: Clock): CheckedFilter {
  const { retentionDays = 0 } = targetProject(call).fact.capture ?? {};
  return since(filter, keptSince(retentionDays, clock.now()));
}
