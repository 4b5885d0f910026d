import { goalText, type Result, type Row } from './row.ts';

const widths = { name: 24, value: 10, floor: 10, ratio: 8, goal: 8, unit: 12, outcome: 5 };

/** The names of the columns. */
export function headline(): string {
  return columns({
    name: 'row',
    value: 'value',
    floor: 'floor',
    ratio: 'ratio',
    goal: 'goal',
    unit: 'unit',
    outcome: '',
  });
}

/** One row of the table. */
export function line(
  { goal }: Row,
  { name, value, floor, ratio, unit }: Result,
  reached: boolean,
  remark = '',
): string {
  const cells = {
    name,
    value: figure(value),
    floor: floor === null ? '-' : figure(floor),
    ratio: ratio === null ? '-' : `${ratio.toFixed(2)}×`,
    goal: goalText(goal),
    unit,
    outcome: reached ? 'pass' : 'miss',
  };
  return `${columns(cells)}${remark && `  (${remark})`}`;
}

function columns(cells: Record<keyof typeof widths, string>): string {
  const { name, value, floor, ratio, goal, unit, outcome } = cells;
  return [
    name.padEnd(widths.name),
    value.padStart(widths.value),
    floor.padStart(widths.floor),
    ratio.padStart(widths.ratio),
    goal.padStart(widths.goal),
    unit.padEnd(widths.unit),
    outcome,
  ].join(' ');
}

/** Three significant digits, or whole numbers. */
function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
