/** Requests about events, as scenarios make them. */

import type { EventFilter, PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import type { CapturedEvent } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { PublicApi } from '../harness/clients.ts';
import type { TestSilo } from '../harness/silo.ts';

/** An event as it is sent. */
export function event(fields: Partial<CapturedEvent> = {}): CapturedEvent {
  const empty = { uuid: '', timestamp: '', properties: '' };
  return { ...empty, name: 'seen', distinctId: 'ada', ...fields };
}

/** Sends events with a project token. */
export function capture(
  silo: TestSilo,
  token: string,
  events: CapturedEvent[],
  superProperties = '',
) {
  return silo.as(token).events.captureEvents({ events, superProperties });
}

type Query = { projectId: string; filter?: Partial<EventFilter> | undefined; pageSize?: number };

/** Means all events. */
export const noFilter: EventFilter = {
  ...{ startTime: undefined, endTime: undefined, names: [], distinctId: '', properties: [] },
};

/** Reads a page of events. */
export function query(api: PublicApi, { projectId, filter, pageSize = 0 }: Query, pageToken = '') {
  const full = filter && { ...noFilter, ...filter };
  return api.events.queryEvents({ projectId, filter: full, pageSize, pageToken });
}

/** Reads all pages. */
export async function allEvents(api: PublicApi, wanted: Query) {
  const found = [];
  let pageToken = '';
  do {
    const page = await query(api, wanted, pageToken);
    found.push(...page.events);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return found;
}

/** A filter of one condition on a property. */
export const where = (name: string, operator: PropertyOperator, ...values: string[]) => ({
  properties: [{ name, operator, values }],
});
