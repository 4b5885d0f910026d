import { type DescField, type DescMessage, getOption } from '@bufbuild/protobuf';
import type { FieldViolation } from '@silo/errors/silo-error.ts';
import { Text } from '@silo/protos/gen/silo/common/v1/text.ts';
import type { Image } from '@silo/protos/image.ts';
import { readPersonText, type TextKind } from '@silo/runtime/name-rules.ts';

/** Normalizes the texts of a decoded request to the stored form; returns the violations. */
export type ReadTexts = (request: unknown) => FieldViolation[];

type TextField = { steps: string[]; name: string; kind: TextKind };

/**
 * Compiles the reader of the fields with the option `(silo.common.v1.text)` in a request, at any
 * depth; undefined if there are none. Throws if the option is on a field that is not text.
 */
export function compileTexts(image: Image, input: DescMessage): ReadTexts | undefined {
  const fields = textFields(image, input, [], []);
  if (fields.length === 0) return undefined;
  return (request) => fields.flatMap((field) => readText(request, field));
}

function readText(request: unknown, { steps, name, kind }: TextField): FieldViolation[] {
  let holder = request;
  for (const step of steps.slice(0, -1)) holder = isObject(holder) ? holder[step] : undefined;
  const last = steps.at(-1) ?? '';
  const given = isObject(holder) ? holder[last] : undefined;
  // The field's other rules determine whether it may be empty.
  if (!isObject(holder) || typeof given !== 'string' || given === '') return [];
  const { text, problem } = readPersonText(given, kind);
  if (problem !== undefined) return [{ field: name, description: problem }];
  holder[last] = text;
  return [];
}

function textFields(
  image: Image,
  message: DescMessage,
  path: readonly DescField[],
  outer: readonly DescMessage[],
): TextField[] {
  if (outer.includes(message)) return [];
  return message.fields.flatMap((field) => {
    const whole = [...path, field];
    const kind = kindOf(image, field);
    if (kind !== undefined) {
      const isText = field.fieldKind === 'scalar' && whole.every(({ oneof }) => !oneof);
      const name = whole.map((each) => each.name).join('.');
      if (!isText) throw new TypeError(`${message.typeName}: ${name} cannot be read as text`);
      return [{ steps: whole.map(({ localName }) => localName), name, kind }];
    }
    if (field.fieldKind !== 'message') return [];
    return textFields(image, field.message, whole, [...outer, message]);
  });
}

function kindOf({ types }: Image, field: DescField): TextKind | undefined {
  const extension = types.getExtension('silo.common.v1.text');
  if (extension === undefined)
    throw new TypeError('the protos have no option (silo.common.v1.text)');
  switch (getOption(field, extension)) {
    case Text.TEXT_NAME:
      return 'name';
    case Text.TEXT_LINES:
      return 'lines';
    default:
      return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
