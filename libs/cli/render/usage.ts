import type { UsageDay } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { Block } from '../text.ts';
import { bytesText, numberText } from './values.ts';

/** Usage by day and project, with the names of those that are known. */
export function usageBlocks(
  days: readonly UsageDay[],
  names: ReadonlyMap<string, string>,
): Block[] {
  if (days.length === 0) return ['Nothing was captured.'];
  const rows = days.map(({ day, projectId, events = 0, bytes = 0 }) => [
    day,
    names.get(projectId) ?? projectId,
    numberText(events),
    bytesText(bytes),
  ]);
  const events = days.reduce((sum, each) => sum + (each.events ?? 0), 0);
  const bytes = days.reduce((sum, each) => sum + (each.bytes ?? 0), 0);
  const total = ['total', '', numberText(events), bytesText(bytes)];
  const [eventsWidth, bytesWidth] = [2, 3].map((column) =>
    Math.max(6, ...[...rows, total].map((row) => row[column]?.length ?? 0)),
  );
  const aligned = [...rows, total].map(([day = '', name = '', count = '', size = '']) => [
    ...[day, name],
    count.padStart(eventsWidth ?? 0),
    size.padStart(bytesWidth ?? 0),
  ]);
  return [{ head: ['day', 'project', 'events', 'size'], rows: aligned }];
}
