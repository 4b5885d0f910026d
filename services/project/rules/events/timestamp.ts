import { isTimestamp } from '@silo/protos/timestamp-range.ts';

const rfc3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|[+-](\d\d):(\d\d))$/;

/**
 * The instant of an RFC 3339 time with at most nanosecond precision, truncated to milliseconds.
 * Undefined for another text, for a day that does not exist, and for an instant outside the range
 * of a Timestamp, which counts by hour and day could not return.
 */
export function instantOf(text: string): Date | undefined {
  const parts = rfc3339.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', offsetHours, offsetMinutes] =
    parts;
  // A leap second is the first instant of the next minute.
  const isLeap = second === '60';
  const millis = isLeap ? '000' : fraction.slice(0, 3).padEnd(3, '0');
  const isDay = Number(day) >= 1 && Number(day) <= daysIn(Number(year), Number(month));
  if (!isDay || Number(hour) > 23) return undefined;
  if (Number(offsetHours ?? 0) > 23 || Number(offsetMinutes ?? 0) > 59) return undefined;
  const offset = offsetHours === undefined ? 'Z' : text.slice(-6);
  const date = `${year}-${month}-${day}`;
  const time = `${hour}:${minute}:${isLeap ? '59' : second}.${millis}`;
  const ms = Date.parse(`${date}T${time}${offset}`);
  const instant = new Date(ms + (isLeap ? 1_000 : 0));
  return isTimestamp(instant) ? instant : undefined;
}

function daysIn(year: number, month: number): number {
  if (month === 2) {
    const isLeapYear = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
    return isLeapYear ? 29 : 28;
  }
  if (month < 1 || month > 12) return 0;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}
