import { styleText } from 'node:util';
import widthOf from 'fast-string-width';

type Style = 'bold' | 'dim' | 'good' | 'bad';

/** A piece of text, perhaps with a style that terminals show. */
export type Span = string | { text: string; style: Style };
/** One line, of one or more pieces. */
type Line = Span | readonly Span[];
/** Columns as wide as what they hold, under a head; without rows nothing is shown. */
type Table = { head: readonly string[]; rows: readonly (readonly Span[])[] };
/** What renderers answer: no escape sequences, no line breaks, no widths. */
export type Block = Line | Table;

const formats = { bold: 'bold', dim: 'dim', good: 'green', bad: 'red' } as const;

const gap = '  ';

/**
 * Blocks as text for a terminal or a file, ending in a line break. Whatever could steer a terminal,
 * such as an escape sequence in a project's name, is replaced.
 */
export function toText(blocks: readonly Block[], { colour }: { colour: boolean }): string {
  return blocks
    .flatMap((block) => (isTable(block) ? tableLines(block, colour) : [lineOf(block, colour)]))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

function isTable(block: Block): block is Table {
  return typeof block === 'object' && 'rows' in block;
}

function lineOf(line: Line, colour: boolean): string {
  const spans: readonly Span[] = Array.isArray(line) ? line : [line];
  return spans.map((span) => styled(span, colour)).join('');
}

function tableLines({ head, rows }: Table, colour: boolean): string[] {
  if (rows.length === 0) return [];
  const headRow: Span[] = head.map((text) => ({ text: text.toUpperCase(), style: 'dim' }));
  const all = [headRow, ...rows];
  const widths = head.map((_, column) =>
    Math.max(...all.map((row) => widthOf(shown(row[column] ?? '')))),
  );
  return all.map((row) =>
    widths
      .map((width, column) => {
        const span = row[column] ?? '';
        return styled(span, colour) + ' '.repeat(width - widthOf(shown(span)));
      })
      .join(gap),
  );
}

function styled(span: Span, colour: boolean): string {
  if (!colour || typeof span === 'string') return shown(span);
  return styleText(formats[span.style], shown(span), { validateStream: false });
}

// Control characters, and those that turn the direction of writing.
const steering = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

function shown(span: Span): string {
  return (typeof span === 'string' ? span : span.text).replace(steering, '\ufffd');
}

/** The text in so many columns: where it is longer, its beginning and `…`. */
export function cut(text: string, columns: number): string {
  // A long text is cut roughly before it is measured.
  const clean = shown(text.slice(0, columns * 16));
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

/** The same for a single value that something else prints, such as a prompt. */
export function safe(text: string): string {
  return shown(text);
}
