/** Requests about events for scenarios. */
import { randomUUID } from 'node:crypto';
import type { EventFilter, PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import {
  type CapturedEvent,
  CaptureResult,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { ExecutionContext } from 'ava';
import type { PublicApi } from '../harness/clients.ts';
import { untilAnswered } from '../harness/eventually.ts';
import type { TestSilo } from '../harness/silo.ts';

/** An event as it is sent, with a UUID, so that a repeated capture stores it once. */
export function event(fields: Partial<CapturedEvent> = {}): CapturedEvent {
  const rest = { name: 'seen', distinctId: 'ada', timestamp: '', properties: '' };
  return { uuid: randomUUID(), ...rest, ...fields };
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

const { CAPTURE_RESULT_STORED: stored, CAPTURE_RESULT_DUPLICATE: duplicate } = CaptureResult;

/** Captures events, and asserts the outcome of each. Returns the outcomes. */
export async function captureWith(
  t: ExecutionContext,
  { silo, token, events }: { silo: TestSilo; token: string; events: CapturedEvent[] },
  due: CaptureResult[],
) {
  let tries = 0;
  const { outcomes } = await untilAnswered(() => {
    tries++;
    return silo.once(token).events.captureEvents({ events, superProperties: '' });
  });
  // An attempt that was not answered may have stored it.
  const isRepeat = (result: CaptureResult, index: number) =>
    tries > 1 && due[index] === stored && result === duplicate;
  t.deepEqual(
    outcomes.map(({ result }, index) => (isRepeat(result, index) ? stored : result)),
    due,
  );
  return outcomes;
}

type Query = { projectId: string; filter?: Partial<EventFilter> | undefined; pageSize?: number };

/** Matches all events. */
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
