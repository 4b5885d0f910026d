import {
  type CountEventsResponse,
  CountGrouping,
  type EventCount,
} from '@silo/protos/gen/silo/project/v1/event_service.ts';
import { type Block, cut } from '../text.ts';
import { chart } from './chart.ts';
import { beginText, countText } from './values.ts';

type Shown = { grouping: CountGrouping; property: string; columns: number };

const labelWidth = 40;
const rowsMax = 1_000;

/** A count as a chart of this width, with its total. */
export function countBlocks(
  sum: CountEventsResponse,
  { grouping, property, columns }: Shown,
): Block[] {
  const { counts, othersCount = 0, absentCount = 0, totalCount = 0, timeZone } = sum;
  const further = counts.slice(rowsMax).reduce((total, { count = 0 }) => total + count, 0);
  const rows = [
    ...counts.slice(0, rowsMax).map((each) => ({
      label: cut(labelOf(each, grouping, timeZone), labelWidth),
      count: each.count ?? 0,
    })),
    ...(absentCount > 0
      ? [{ label: `(no ${cut(property, labelWidth)})`, count: absentCount }]
      : []),
    ...(othersCount + further > 0 ? [{ label: '(others)', count: othersCount + further }] : []),
  ];
  const head = headOf(grouping, property, timeZone);
  return [
    ...chart(head, rows, columns),
    [{ text: countText(totalCount), style: 'bold' }, ' in total'],
    ...(sum.nextPageToken === ''
      ? []
      : ['Only the newest events are counted: --since and --until narrow the count.']),
  ];
}

function labelOf(each: EventCount, grouping: CountGrouping, timeZone: string): string {
  if (grouping === CountGrouping.COUNT_GROUPING_NAME) return each.name;
  if (grouping === CountGrouping.COUNT_GROUPING_PROPERTY) return each.value;
  const isHour = grouping === CountGrouping.COUNT_GROUPING_HOUR;
  return beginText(each.startTime ?? new Date(0), timeZone, isHour);
}

function headOf(grouping: CountGrouping, property: string, timeZone: string): string {
  if (grouping === CountGrouping.COUNT_GROUPING_NAME) return 'name';
  if (grouping === CountGrouping.COUNT_GROUPING_PROPERTY) return cut(property, labelWidth);
  const unit = grouping === CountGrouping.COUNT_GROUPING_HOUR ? 'hour' : 'day';
  return timeZone === '' ? unit : `${unit} (${timeZone})`;
}
