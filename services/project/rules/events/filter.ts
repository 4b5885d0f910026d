import { errors } from '@silo/errors/errors.ts';
import type { FieldViolation } from '@silo/errors/silo-error.ts';
import {
  type EventFilter,
  type PropertyFilter,
  PropertyOperator,
} from '@silo/protos/gen/silo/project/v1/event.ts';
import {
  alwaysIndexed,
  isExactlyIndexed,
  isScalar,
  type Places,
  type Scalar,
} from './indexed-properties.ts';
import { compareDecimals, type Decimal, decimalOf, ownProperty } from './json-text.ts';
import type { ParsedProperties } from './parsed-properties.ts';

/** A scalar to compare with. A number has its rounded value and all digits of its text. */
type Operand =
  | { value: Exclude<Scalar, number>; decimal?: undefined }
  | { value: number; decimal: Decimal };

/** One condition on a property. */
type Condition = { name: string; operator: PropertyOperator; operands: Operand[] };

/** A filter whose conditions must all hold. No text in it is interpreted. */
export type CheckedFilter = {
  /** Inclusive. */
  startTime: Date | undefined;
  /** Exclusive. */
  endTime: Date | undefined;
  /** Any of these names; empty: any name. */
  names: string[];
  /** Undefined: any distinct id. */
  distinctId: string | undefined;
  conditions: Condition[];
  /** The properties whose indexes may be used. */
  places: Places;
};

/** The parts of an event that a filter compares. */
export type FilteredEvent = {
  name: string;
  distinctId: string;
  time: Date;
  parsed: ParsedProperties;
};

/** Refuses with INVALID_FIELD operators with a wrong number or kind of values. */
export function checkFilter(filter: EventFilter | undefined): CheckedFilter {
  const violations: FieldViolation[] = [];
  const conditions = (filter?.properties ?? []).map((each, index) =>
    conditionOf(each, `filter.properties[${index}]`, violations),
  );
  if (violations.length > 0) throw errors.invalidField(violations);
  return {
    startTime: filter?.startTime,
    endTime: filter?.endTime,
    names: filter?.names ?? [],
    distinctId: filter?.distinctId || undefined,
    conditions,
    places: alwaysIndexed,
  };
}

/** Whether an event matches the filter. */
export function matches(filter: CheckedFilter, event: FilteredEvent): boolean {
  const { startTime, endTime, names, distinctId, conditions } = filter;
  if (startTime !== undefined && event.time < startTime) return false;
  if (endTime !== undefined && event.time >= endTime) return false;
  if (names.length > 0 && !names.includes(event.name)) return false;
  if (distinctId !== undefined && event.distinctId !== distinctId) return false;
  return conditions.every((condition) => holds(condition, event.parsed));
}

/** Whether the filter matches every event. */
export function isEverything(filter: CheckedFilter): boolean {
  const { startTime, endTime, names, distinctId, conditions } = filter;
  const isAnyTime = startTime === undefined && endTime === undefined;
  return isAnyTime && names.length === 0 && distinctId === undefined && conditions.length === 0;
}

/**
 * Whether the indexed fields of an event alone decide if it matches. A text is not exact if others
 * have the same indexed form, and all digits of a number are only in the properties.
 */
export function isExact({ conditions, places }: CheckedFilter): boolean {
  return conditions.every(
    ({ name, operator, operands }) =>
      places.has(name) &&
      equalities.has(operator) &&
      operands.every(({ value }) => isExactlyIndexed(value)),
  );
}

/** Operators for equality to one or several values, which an index can find. */
export const equalities: ReadonlySet<PropertyOperator> = new Set<PropertyOperator>([
  PropertyOperator.PROPERTY_OPERATOR_EQUAL,
  PropertyOperator.PROPERTY_OPERATOR_IN,
]);

function conditionOf(
  { name, operator, values }: PropertyFilter,
  path: string,
  violations: FieldViolation[],
): Condition {
  const operands = values.flatMap((text, index) => {
    const operand = operandOf(text);
    if (operand !== undefined) return [operand];
    const description = 'must be the JSON text of a string, a number, true, false or null';
    violations.push({ field: `${path}.values[${index}]`, description });
    return [];
  });
  const problem = problemOf(operator, values.length, operands);
  if (problem !== undefined) violations.push({ field: `${path}.values`, description: problem });
  return { name, operator, operands };
}

function operandOf(text: string): Operand | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isScalar(value)) return undefined;
    return typeof value === 'number' ? { value, decimal: decimalOf(text.trim()) } : { value };
  } catch {
    return undefined;
  }
}

/** The violation by an operator's values; undefined if they are valid. */
function problemOf(
  operator: PropertyOperator,
  count: number,
  operands: readonly Operand[],
): string | undefined {
  switch (operator) {
    case PropertyOperator.PROPERTY_OPERATOR_EXISTS:
      return count === 0 ? undefined : 'must be empty for EXISTS';
    case PropertyOperator.PROPERTY_OPERATOR_IN:
      return count > 0 ? undefined : 'must have at least one value for IN';
    case PropertyOperator.PROPERTY_OPERATOR_EQUAL:
    case PropertyOperator.PROPERTY_OPERATOR_NOT_EQUAL:
      return count === 1 ? undefined : 'must have one value for this operator';
    case PropertyOperator.PROPERTY_OPERATOR_LESS:
    case PropertyOperator.PROPERTY_OPERATOR_GREATER:
      if (count !== 1) return 'must have one value for this operator';
      return operands.every(({ value }) => isOrdered(value))
        ? undefined
        : 'must be a string or a number for this operator';
    case PropertyOperator.PROPERTY_OPERATOR_PREFIX:
      if (count !== 1) return 'must have one value for this operator';
      return operands.every(({ value }) => typeof value === 'string')
        ? undefined
        : 'must be a string for PREFIX';
    default:
      return undefined; // refused by the validation rules of the proto
  }
}

function isOrdered(value: Scalar): boolean {
  return typeof value === 'string' || typeof value === 'number';
}

function holds({ name, operator, operands }: Condition, parsed: ParsedProperties): boolean {
  const value = ownProperty(parsed.object, name);
  const decimal = () => parsed.decimal(name);
  const equals = (operand: Operand) => isEqual(value, operand, decimal);
  const [first] = operands;
  switch (operator) {
    case PropertyOperator.PROPERTY_OPERATOR_EXISTS:
      return value !== undefined;
    case PropertyOperator.PROPERTY_OPERATOR_EQUAL:
    case PropertyOperator.PROPERTY_OPERATOR_IN:
      return operands.some(equals);
    case PropertyOperator.PROPERTY_OPERATOR_NOT_EQUAL:
      return !operands.some(equals);
    case PropertyOperator.PROPERTY_OPERATOR_LESS:
      return first !== undefined && compare(value, first, decimal) < 0;
    case PropertyOperator.PROPERTY_OPERATOR_GREATER:
      return first !== undefined && compare(value, first, decimal) > 0;
    case PropertyOperator.PROPERTY_OPERATOR_PREFIX:
      return typeof value === 'string' && value.startsWith(String(first?.value));
    default:
      return false;
  }
}

function isEqual(value: unknown, operand: Operand, decimal: () => Decimal): boolean {
  if (value !== operand.value) return false;
  return operand.decimal === undefined || compareDecimals(decimal(), operand.decimal) === 0;
}

/** NaN for values of different types, which are not comparable. */
function compare(value: unknown, operand: Operand, decimal: () => Decimal): number {
  if (typeof value === 'number' && operand.decimal !== undefined) {
    // Rounding keeps the order of numbers, but may make two of them equal.
    if (value !== operand.value) return value < operand.value ? -1 : 1;
    return compareDecimals(decimal(), operand.decimal);
  }
  if (typeof value === 'string' && typeof operand.value === 'string') {
    // The first difference decides: the rest of a longer text is not needed.
    const start = value.slice(0, operand.value.length + 1);
    return Buffer.compare(Buffer.from(start), Buffer.from(operand.value));
  }
  return Number.NaN;
}
