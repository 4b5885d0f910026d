import { InvalidArgumentError } from '@commander-js/extra-typings';
import { bareName } from '@silo/protos/enum-name.ts';
import {
  type EventFilter,
  type PropertyFilter,
  PropertyOperator,
} from '@silo/protos/gen/silo/project/v1/event.ts';

/** The options that filter events. */
export type EventOptions = {
  name?: string[] | undefined;
  distinctId?: string | undefined;
  since?: Date | undefined;
  until?: Date | undefined;
  where?: PropertyFilter[] | undefined;
};

/** The filter of a request. */
export function filterOf({ name, distinctId, since, until, where }: EventOptions): EventFilter {
  return {
    startTime: since,
    endTime: until,
    names: name ?? [],
    distinctId: distinctId ?? '',
    properties: where ?? [],
  };
}

/** Whether a filter matches all events. */
export function meansAll({ startTime, endTime, names, distinctId, properties }: EventFilter) {
  return (
    startTime === undefined &&
    endTime === undefined &&
    distinctId === '' &&
    names.length + properties.length === 0
  );
}

const operators: Record<string, PropertyOperator> = {
  '=': PropertyOperator.PROPERTY_OPERATOR_EQUAL,
  '!=': PropertyOperator.PROPERTY_OPERATOR_NOT_EQUAL,
  '<': PropertyOperator.PROPERTY_OPERATOR_LESS,
  '>': PropertyOperator.PROPERTY_OPERATOR_GREATER,
  '^=': PropertyOperator.PROPERTY_OPERATOR_PREFIX,
};

/** A condition such as `$host=app.example.com`; a bare name means that the property exists. */
export function parseWhere(text: string): PropertyFilter {
  const [, name = '', sign, value = ''] = /^(.*?)(?:(!=|\^=|=|<|>)(.*))?$/s.exec(text) ?? [];
  if (name === '') throw new InvalidArgumentError('Begin with the name of a property.');
  if (sign === undefined) {
    return { name, operator: PropertyOperator.PROPERTY_OPERATOR_EXISTS, values: [] };
  }
  if ((sign === '<' || sign === '>') && value.startsWith('=')) {
    throw new InvalidArgumentError('There is no <= and no >=: write < or >.');
  }
  const operator = operators[sign] ?? PropertyOperator.PROPERTY_OPERATOR_EQUAL;
  return { name, operator, values: [jsonOf(value, sign === '^=')] };
}

const scalar = /^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?)$/;

/**
 * The JSON of a value: numbers, true, false, null and quoted strings as they stand; everything else
 * as a string.
 */
function jsonOf(value: string, isString: boolean): string {
  if (!isString && scalar.test(value)) return value;
  return isQuoted(value) ? value : JSON.stringify(value);
}

function isQuoted(value: string): boolean {
  try {
    return typeof JSON.parse(value) === 'string';
  } catch {
    return false;
  }
}

/** The options for this filter, as words for a shell. */
export function wordsOf(filter: EventFilter): string[] {
  const { startTime, endTime, names, distinctId, properties } = filter;
  const words = [
    ...names.flatMap((name) => ['--name', name]),
    ...(distinctId === '' ? [] : ['--distinct-id', distinctId]),
    ...(startTime === undefined ? [] : ['--since', startTime.toISOString()]),
    ...(endTime === undefined ? [] : ['--until', endTime.toISOString()]),
    ...properties.flatMap((condition) => ['--where', conditionText(condition)]),
  ];
  return words.map(quoted);
}

function conditionText({ name, operator, values }: PropertyFilter): string {
  if (operator === PropertyOperator.PROPERTY_OPERATOR_EXISTS) return name;
  const [sign] = Object.entries(operators).find(([, each]) => each === operator) ?? [];
  // No option expresses the other operators: IN, and those of a newer release.
  return name + (sign ?? ` ${bareName(PropertyOperator, operator)} `) + values.join(', ');
}

/** The word in the quotes that a POSIX shell needs. */
function quoted(word: string): string {
  return /^[\w.:@/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
