import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import type { CheckedFilter } from './filter.ts';
import { indexedTextMax, isExactlyIndexed } from './indexed-properties.ts';

/** A range of indexed values, both ends included. Contains only values of their type. */
export type IndexedRange = {
  least: string | number;
  most: string | number;
  /** An end to exclude: exactly one value has this indexed form, and it does not match. */
  except?: string;
};

type Condition = CheckedFilter['conditions'][number];

/** No indexed text sorts after this one: none is longer. */
const greatestText = '\u{10ffff}'.repeat(indexedTextMax / 2);

/**
 * The ranges in which the indexed properties of every matching event lie, by place. Other values
 * may lie there, too. Missing values and objects have no range: EXISTS and NOT_EQUAL yield none.
 */
export function indexedRanges({ conditions, places }: CheckedFilter): Map<number, IndexedRange[]> {
  const ranges = new Map<number, IndexedRange[]>();
  for (const condition of conditions) {
    const place = places.get(condition.name);
    const range = rangeOf(condition);
    if (place === undefined || range === undefined) continue;
    ranges.set(place, [...(ranges.get(place) ?? []), range]);
  }
  return ranges;
}

function rangeOf({ operator, operands: [operand] }: Condition): IndexedRange | undefined {
  const value = operand?.value;
  switch (operator) {
    case PropertyOperator.PROPERTY_OPERATOR_LESS:
      if (typeof value === 'number') return { least: Number.NEGATIVE_INFINITY, most: value };
      return typeof value === 'string'
        ? { least: '', most: mostOf(value), ...exceptOf(value) }
        : undefined;
    case PropertyOperator.PROPERTY_OPERATOR_GREATER:
      if (typeof value === 'number') return { least: value, most: Number.POSITIVE_INFINITY };
      return typeof value === 'string'
        ? { least: beginningOf(value), most: greatestText, ...exceptOf(value) }
        : undefined;
    case PropertyOperator.PROPERTY_OPERATOR_PREFIX: {
      // A lone surrogate begins characters that are indexed unchanged.
      if (typeof value !== 'string' || !value.isWellFormed()) return undefined;
      const least = beginningOf(value);
      return { least, most: least + greatestText };
    }
    default:
      return undefined;
  }
}

function exceptOf(text: string): Pick<IndexedRange, 'except'> {
  return isExactlyIndexed(text) ? { except: text } : {};
}

/**
 * The upper end for a text. If the text is cut, its indexed form sorts after the cut part, but not
 * after everything that begins with it.
 */
function mostOf(text: string): string {
  const beginning = beginningOf(text);
  return text.length === beginning.length ? beginning : beginning + greatestText;
}

/**
 * The part of a text that stays unchanged in the indexed form of every text that begins with it. It
 * is shorter than the maximum, as the indexed form may end within a character.
 */
function beginningOf(text: string): string {
  const cut = text.slice(0, indexedTextMax - 1);
  const isTorn = /[\ud800-\udbff]$/.test(cut);
  return (isTorn ? cut.slice(0, -1) : cut).toWellFormed();
}
