/** The place of an event in the order of (time, UUID). */
export type EventPlace = { timeMs: number; uuid: Uint8Array };

/** The events after a place, up to another one. */
export type EventRange = { after: EventPlace; last: EventPlace };

/** The largest time of ECMAScript; no event can be captured with it, nor with its negative. */
const timeMaxMs = 8.64e15;

/** Before all events. */
export const firstPlace: EventPlace = { timeMs: -timeMaxMs, uuid: new Uint8Array(16) };
/** After all events. */
export const endPlace: EventPlace = { timeMs: timeMaxMs, uuid: new Uint8Array(16).fill(0xff) };

/** The time of a place, for people. */
export function placeText({ timeMs }: EventPlace): string {
  if (timeMs === firstPlace.timeMs) return 'the first one';
  return timeMs === endPlace.timeMs ? 'the last one' : new Date(timeMs).toISOString();
}

/** Below 0 where the first place is before the second, 0 where they are the same. */
export function comparePlaces(first: EventPlace, second: EventPlace): number {
  return first.timeMs - second.timeMs || Buffer.compare(first.uuid, second.uuid);
}

/** Whether an event of this place is in a range. */
export function isWithin({ after, last }: EventRange, place: EventPlace): boolean {
  return comparePlaces(place, after) > 0 && comparePlaces(place, last) <= 0;
}

/** Whether a range has no end: what is captured from now on is in it, too. */
export function isEndless({ last }: Pick<EventRange, 'last'>): boolean {
  return comparePlaces(last, endPlace) === 0;
}

/** The range of this place, and no other. */
export function rangeOfOne(last: EventPlace): EventRange {
  const uuid = Buffer.from(last.uuid);
  let at = uuid.length - 1;
  while (at >= 0 && uuid[at] === 0) uuid[at--] = 0xff;
  if (at < 0) return { after: { timeMs: last.timeMs - 1, uuid }, last };
  uuid[at] = (uuid[at] ?? 0) - 1;
  return { after: { timeMs: last.timeMs, uuid }, last };
}

/** Whether a range is that of its last place, and of no other. */
export function isOfOne({ after, last }: EventRange): boolean {
  return comparePlaces(rangeOfOne(last).after, after) === 0;
}
