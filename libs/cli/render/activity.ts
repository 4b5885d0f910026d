import type { ActivityEntry } from '@silo/protos/gen/silo/org/v1/activity_service.ts';
import type { Block } from '../text.ts';
import { timeText } from './values.ts';

export function activityBlocks(entries: readonly ActivityEntry[], nextPageToken: string): Block[] {
  if (entries.length === 0) return ['Nothing has happened yet.'];
  const rows = entries.map((entry) => [
    timeText(entry.time),
    entry.type,
    entry.actor,
    [entry.projectId, entry.subjectId, entry.moveId].filter(Boolean).join(' '),
    entry.changes
      .map(({ field, from, to }) => `${field}: ${from || '-'} → ${to || '-'}`)
      .join('; '),
  ]);
  return [
    { head: ['time', 'what', 'who', 'concerns', 'changes'], rows },
    ...(nextPageToken === '' ? [] : [{ text: 'There is more: --limit N', style: 'dim' as const }]),
  ];
}
