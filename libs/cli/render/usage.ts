import type { UsageDay } from '@silo/protos/gen/silo/project/v1/event_service.ts';
import type { NameOf } from '../names.ts';
import type { Block, Span } from '../text.ts';
import { bytesText, numberText } from './values.ts';

/** Usage by day and project. */
export function usageBlocks(days: readonly UsageDay[], nameOf: NameOf): Block[] {
  if (days.length === 0) return ['Nothing was captured.'];
  const events = days.reduce((sum, each) => sum + (each.events ?? 0), 0);
  const bytes = days.reduce((sum, each) => sum + (each.bytes ?? 0), 0);
  const labels: Span[][] = [
    ...days.map(({ day, projectId }) => [day, nameOf(projectId)]),
    ['total', ''],
  ];
  const counts = aligned([...days.map((each) => numberText(each.events ?? 0)), numberText(events)]);
  const sizes = aligned([...days.map((each) => bytesText(each.bytes ?? 0)), bytesText(bytes)]);
  const rows = labels.map((label, row) => [...label, counts[row] ?? '', sizes[row] ?? '']);
  return [{ head: ['day', 'project', 'events', 'size'], rows }];
}

/** Right-aligned, under heads of up to six letters. */
function aligned(numbers: readonly string[]): string[] {
  const width = Math.max('events'.length, ...numbers.map(({ length }) => length));
  return numbers.map((text) => text.padStart(width));
}
