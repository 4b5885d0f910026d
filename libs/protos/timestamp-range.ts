/** The first time that a `google.protobuf.Timestamp` holds. */
export const timestampMin = new Date('0001-01-01T00:00:00Z');
/** The last one, to the millisecond. */
export const timestampMax = new Date('9999-12-31T23:59:59.999Z');

/** Whether other languages can read the time: their libraries refuse a message with any other. */
export function isTimestamp(time: Date): boolean {
  return time >= timestampMin && time <= timestampMax;
}
