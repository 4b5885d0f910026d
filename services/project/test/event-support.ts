import { randomUUID } from 'node:crypto';
import type { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import type { Document } from 'mongodb';
import { type CheckedEvent, checkEvent } from '../rules/events/check-event.ts';
import { type CheckedFilter, checkFilter } from '../rules/events/filter.ts';
import { alwaysIndexed } from '../rules/events/indexed-properties.ts';
import type { CapturedEventStore } from '../store/captured-events.ts';

export const receiveTime = new Date('2026-11-29T12:00:00.000Z');

export const heldPermit = { remainingMs: () => 30_000, release: () => {} };

/** Stores events of a project. Returns for each whether it was stored before. */
export async function insert(
  store: CapturedEventStore,
  projectId: string,
  events: readonly CheckedEvent[],
  { organizationId = 'org_us_x', permit = heldPermit, generation = 0 } = {},
): Promise<boolean[]> {
  const [isThere = []] = await store.insert(
    [{ projectId, organizationId, receiveTime, generation, events }],
    {
      permits: [permit],
      signal: AbortSignal.timeout(600_000),
    },
  );
  return isThere;
}

/** An event as stored, with its time this number of milliseconds after the time of receipt. */
export function captured(properties: object, ms = 0, places = alwaysIndexed): CheckedEvent {
  const timestamp = new Date(receiveTime.getTime() + ms).toISOString();
  const sent = { uuid: randomUUID(), name: 'seen', distinctId: 'ada', timestamp };
  const context = { receiveTime, superProperties: undefined, newUuid: randomUUID, places };
  const checked = checkEvent({ ...sent, properties: JSON.stringify(properties) }, context);
  if ('violations' in checked) throw new Error(JSON.stringify(checked.violations));
  return checked.event;
}

/** A filter of one condition on a property. */
export function condition(
  name: string,
  operator: PropertyOperator,
  ...values: string[]
): CheckedFilter {
  return checkFilter({
    ...{ startTime: undefined, endTime: undefined, names: [], distinctId: '' },
    properties: [{ name, operator, values }],
  });
}

/** The stages of a plan, outermost first. */
export function stagesOf(plan: Document | undefined): Document[] {
  if (plan === undefined) return [];
  const inner: Document[] = plan.inputStages ?? (plan.inputStage ? [plan.inputStage] : []);
  return [plan, ...inner.flatMap(stagesOf)];
}
