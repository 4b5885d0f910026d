import { PropertyOperator } from '@silo/protos/gen/silo/project/v1/event.ts';
import type { CheckedFilter } from './filter.ts';
import { indexedTextMax, isExactlyIndexed } from './indexed-properties.ts';

/** What the indexed form of a value lies between, ends included. Only values of their type do. */
export type IndexedRange = {
  least: string | number;
  most: string | number;
  /** An end that is excluded: one value alone is indexed so, and it is not meant. */
  except?: string;
};

type Condition = CheckedFilter['conditions'][number];

/** No indexed text sorts after it: none is longer. */
const greatestText = '\u{10ffff}'.repeat(indexedTextMax / 2);

/**
 * Between what the values of indexed properties are in every event that a filter means, by place.
 * Values beside those that are meant may lie there too. Absence is no range, and neither is an object:
 * EXISTS and NOT_EQUAL have none.
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
      // A lone surrogate begins characters that are indexed as they are.
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

/** Of a text that is cut, what is indexed sorts after it, but not after all that begin like it. */
function mostOf(text: string): string {
  const beginning = beginningOf(text);
  return text.length === beginning.length ? beginning : beginning + greatestText;
}

/**
 * As much of a text as the indexed form of every text that begins so has unchanged: it is shorter, as
 * that may end in the middle of a character.
 */
function beginningOf(text: string): string {
  const cut = text.slice(0, indexedTextMax - 1);
  const isTorn = /[\ud800-\udbff]$/.test(cut);
  return (isTorn ? cut.slice(0, -1) : cut).toWellFormed();
}
