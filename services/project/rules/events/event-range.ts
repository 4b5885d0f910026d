/** The place of an event in the order of (time, UUID). */
export type EventPlace = { timeMs: number; uuid: Uint8Array };

/** The events after a place, up to and including another one. */
export type EventRange = { after: EventPlace; last: EventPlace };

/** The maximum time of ECMAScript; no event can have it, nor its negative. */
const timeMaxMs = 8.64e15;

/** The place before all events. */
export const firstPlace: EventPlace = { timeMs: -timeMaxMs, uuid: new Uint8Array(16) };
/** The place after all events. */
export const endPlace: EventPlace = { timeMs: timeMaxMs, uuid: new Uint8Array(16).fill(0xff) };

/** The time of a place, for people. */
export function placeText({ timeMs }: EventPlace): string {
  if (timeMs === firstPlace.timeMs) return 'the beginning';
  return timeMs === endPlace.timeMs ? 'the end' : new Date(timeMs).toISOString();
}

/** Negative if the first place is before the second, 0 if they are equal. */
export function comparePlaces(first: EventPlace, second: EventPlace): number {
  return first.timeMs - second.timeMs || Buffer.compare(first.uuid, second.uuid);
}

/** Whether an event of this place is in a range. */
export function isWithin({ after, last }: EventRange, place: EventPlace): boolean {
  return comparePlaces(place, after) > 0 && comparePlaces(place, last) <= 0;
}

/** Whether a range has no end, so that it includes future captures. */
export function isEndless({ last }: Pick<EventRange, 'last'>): boolean {
  return comparePlaces(last, endPlace) === 0;
}

/** The range that contains only this place. */
export function rangeOfOne(last: EventPlace): EventRange {
  const uuid = Buffer.from(last.uuid);
  let at = uuid.length - 1;
  while (at >= 0 && uuid[at] === 0) uuid[at--] = 0xff;
  if (at < 0) return { after: { timeMs: last.timeMs - 1, uuid }, last };
  uuid[at] = (uuid[at] ?? 0) - 1;
  return { after: { timeMs: last.timeMs, uuid }, last };
}

/** Whether a range contains only its last place. */
export function isOfOne({ after, last }: EventRange): boolean {
  return comparePlaces(rangeOfOne(last).after, after) === 0;
}
