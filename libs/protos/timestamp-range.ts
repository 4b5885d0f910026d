/** The earliest time that a `google.protobuf.Timestamp` can hold. */
export const timestampMin = new Date('0001-01-01T00:00:00Z');
/** The latest one, to the millisecond. */
export const timestampMax = new Date('9999-12-31T23:59:59.999Z');

/**
 * Whether other languages can read the time: their libraries refuse a message with a time outside
 * this range.
 */
export function isTimestamp(time: Date): boolean {
  return time >= timestampMin && time <= timestampMax;
}
