import { bareName } from '@silo/protos/enum-name.ts';
import { Plan, planFromJSON } from '@silo/protos/gen/silo/billing/v1/billing_service.ts';
import { Level, levelFromJSON } from '@silo/protos/gen/silo/common/v1/level.ts';
import { ProjectState } from '@silo/protos/gen/silo/project/v1/project.ts';
import type { ServiceName } from '@silo/service/config.ts';
import { type Block, type Span, textOf } from '../text.ts';

/** A time for people, in UTC; a dash if there is none. */
export function timeText(time: Date | undefined): string {
  return time === undefined ? '-' : `${minuteText(time)} UTC`;
}

/** The same for a column whose head says UTC. */
export function minuteText(time: Date | undefined): string {
  return time === undefined ? '-' : time.toISOString().slice(0, 16).replace('T', ' ');
}

/** Lines of `name  value`; leaves out those without a value. */
export function facts(...pairs: [name: string, value: Span | undefined][]): Block[] {
  const shown = pairs.flatMap(([name, value]) =>
    value === undefined || textOf(value) === '' ? [] : [[name, value] as const],
  );
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => [{ text: name.padEnd(width), style: 'dim' }, '  ', value]);
}

export const levelNames = ['member', 'admin', 'owner'] as const;
export type LevelName = (typeof levelNames)[number];

export function levelText(level: Level): string {
  return bareName(Level, level).toLowerCase();
}

export function levelNamed(name: LevelName): Level {
  return levelFromJSON(`LEVEL_${name.toUpperCase()}`);
}

export const planNames = ['free', 'pay-as-you-go', 'scale', 'enterprise'] as const;
export type PlanName = (typeof planNames)[number];

export function planText(plan: Plan): string {
  return bareName(Plan, plan).toLowerCase().replaceAll('_', '-');
}

/**
 * The name of a plan as the command accepts it; undefined if only a newer release knows the plan.
 */
export function planNameOf(plan: Plan): PlanName | undefined {
  return planNames.find((name) => name === planText(plan));
}

/** How many projects a plan allows. */
export function limitText(limit: number | undefined): string {
  if (limit === undefined) return 'any number of projects';
  return limit === 1 ? '1 project' : `up to ${limit} projects`;
}

export function stateText(state: ProjectState): string {
  return bareName(ProjectState, state).toLowerCase();
}

export function planNamed(name: PlanName): Plan {
  return planFromJSON(`PLAN_${name.toUpperCase().replaceAll('-', '_')}`);
}

/** The number of projects and the limit of the plan. */
export function slotsText(count: number | undefined, limit: number | undefined): string {
  return `${count ?? 0} of ${limit ?? 'unlimited'}`;
}

export function addressesText(services: Record<ServiceName, string>): string {
  return [...new Set(Object.values(services))].join(', ');
}

export function countText(count: number): string {
  return count === 1 ? '1 event' : `${numberText(count)} events`;
}

/** With separators: `1,234`. */
export function numberText(value: number): string {
  return value.toLocaleString('en-US');
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Bytes in the largest unit that fits: `999 B`, `1.5 MiB`. */
export function bytesText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  // A value that would be rounded to 1,024 is shown as one of the next unit.
  while (value >= 1_023.95 && unit < units.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/**
 * The beginning of an hour or day in its time zone. An hour shows its offset, because clocks repeat
 * some hours.
 */
export function beginText(time: Date, timeZone: string, isHour: boolean): string {
  const day = { year: 'numeric', month: '2-digit', day: '2-digit' } as const;
  const hour = { hour: '2-digit', minute: '2-digit', timeZoneName: 'shortOffset' } as const;
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone: timeZone || 'UTC',
    ...day,
    ...(isHour && hour),
  });
  return format.format(time);
}
