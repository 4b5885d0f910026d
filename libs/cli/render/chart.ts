import widthOf from 'fast-string-width';
import type { Block } from '../text.ts';
import { numberText } from './values.ts';

const barMin = 4;

type Row = { label: string; count: number };

/** Rows with bars; the longest bar ends at the width. */
export function chart(head: string, rows: readonly Row[], columns: number): Block[] {
  const counts = rows.map(({ count }) => numberText(count));
  const labels = Math.max(widthOf(head), ...rows.map(({ label }) => widthOf(label)));
  const digits = Math.max('events'.length, ...counts.map((text) => text.length));
  const width = Math.max(columns - labels - digits - 4, barMin);
  const max = Math.max(...rows.map(({ count }) => count));
  return [
    {
      head: [head, 'events', ''],
      rows: rows.map(({ label, count }, row) => [
        label,
        (counts[row] ?? '').padStart(digits),
        bar(count, max, width),
      ]),
    },
  ];
}

/** A bar in proportion to the count; a count above zero always shows something. */
function bar(count: number, max: number, width: number): string {
  if (count <= 0 || max <= 0) return '';
  return '█'.repeat(Math.max(1, Math.round((count / max) * width)));
}
