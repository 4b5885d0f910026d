import { styleText } from 'node:util';
import widthOf from 'fast-string-width';
import { wrapAnsi } from 'fast-wrap-ansi';
import { withProfile } from './with-profile.ts';

type Style = 'bold' | 'dim' | 'good' | 'bad';

/**
 * A piece of text, optionally with a style for terminals and the id of what it names. Commands in
 * it are shown with the profile that the user has given.
 */
export type Span = string | { text: string; style?: Style; id?: string; hasCommands?: true };
/** One line, of one or more pieces. */
type Line = Span | readonly Span[];
/**
 * A table with a head, whose columns are as wide as their contents; nothing is shown if there are
 * no rows.
 */
type Table = { head: readonly string[]; rows: readonly (readonly Span[])[] };
/** What renderers return: text without escape sequences, line breaks or widths. */
export type Block = Line | Table;

/** Options for showing blocks. */
export type Shown = {
  colour: boolean;
  /** Whether to show ids beside the names. */
  ids?: boolean;
  /** The maximum width of tables, as far as possible. */
  columns?: number | undefined;
  /** The profile that the user has given. */
  profile?: string | undefined;
};

const formats = { bold: 'bold', dim: 'dim', good: 'green', bad: 'red' } as const;

const gap = '  ';
// The minimum width of a column: a column of one letter cannot be read.
const columnMin = 8;

/**
 * Blocks as text for a terminal or a file, ending in a line break. Replaces whatever could control
 * a terminal, such as an escape sequence in a project's name.
 */
export function toText(blocks: readonly Block[], shown: Shown): string {
  return blocks
    .flatMap((block) => (isTable(block) ? tableLines(block, shown) : [lineOf(block, shown)]))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

function isTable(block: Block): block is Table {
  return typeof block === 'object' && 'rows' in block;
}

function lineOf(line: Line, shown: Shown): string {
  const spans: readonly Span[] = Array.isArray(line) ? line : [line];
  return spans.map((span) => styled(span, textOf(span, shown), shown)).join('');
}

function tableLines({ head, rows }: Table, shown: Shown): string[] {
  if (rows.length === 0) return [];
  const headRow: Span[] = head.map((text) => ({ text: text.toUpperCase(), style: 'dim' }));
  const all = [headRow, ...rows];
  const widths = fitted(
    head.map((_, column) =>
      Math.max(...all.map((row) => widthOf(textOf(row[column] ?? '', shown)))),
    ),
    shown.columns,
  );
  return all.flatMap((row) => rowLines(row, widths, shown));
}

/** The lines of a row: as many as its cells need in these widths. */
function rowLines(row: readonly Span[], widths: readonly number[], shown: Shown): string[] {
  const cells = widths.map((width, column) => {
    const span = row[column] ?? '';
    const text = textOf(span, shown);
    const lines =
      widthOf(text) <= width ? [text] : wrapAnsi(text, width, { hard: true }).split('\n');
    return { span, lines };
  });
  const height = Math.max(...cells.map(({ lines }) => lines.length));
  return Array.from({ length: height }, (_, at) =>
    cells
      .map(({ span, lines }, column) => {
        const text = lines[at] ?? '';
        return styled(span, text, shown) + ' '.repeat((widths[column] ?? 0) - widthOf(text));
      })
      .join(gap),
  );
}

/** Narrows the widest columns until all fit. */
function fitted(widths: readonly number[], columns = Number.POSITIVE_INFINITY): number[] {
  const room = columns - gap.length * (widths.length - 1);
  const cutTo = (max: number) => widths.map((width) => Math.min(width, max));
  let max = Math.max(...widths);
  while (max > columnMin && cutTo(max).reduce((sum, width) => sum + width, 0) > room) max--;
  return cutTo(max);
}

/** The text of a span, with its id if ids are shown. */
export function textOf(
  span: Span,
  { ids = false, profile }: Pick<Shown, 'ids' | 'profile'> = {},
): string {
  if (typeof span === 'string') return safe(span);
  const { id, hasCommands } = span;
  const text = hasCommands ? withProfile(span.text, profile) : span.text;
  return safe(ids && id && id !== text ? `${text} (${id})` : text);
}

function styled(span: Span, text: string, { colour }: Shown): string {
  if (!colour || typeof span === 'string' || span.style === undefined) return text;
  return styleText(formats[span.style], text, { validateStream: false });
}

// Control characters, and those that change the direction of writing.
const steering = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** The text without anything that could control a terminal. */
export function safe(text: string): string {
  return text.replace(steering, '\ufffd');
}

/** Cuts a text to a number of columns: a longer one becomes its beginning and `…`. */
export function cut(text: string, columns: number): string {
  // Cuts a long text roughly before measuring it.
  const clean = safe(text.slice(0, columns * 16));
  if (clean.length === text.length && widthOf(clean) <= columns) return clean;
  let kept = '';
  let width = 0;
  for (const { segment } of graphemes.segment(clean)) {
    width += widthOf(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
