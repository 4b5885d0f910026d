import { type AnyDesc, type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf';
import { pathToString } from '@bufbuild/protobuf/reflect';
import { createValidator, type Validator } from '@bufbuild/protovalidate';
import type { FieldViolation } from '@silo/errors/silo-error.ts';
import type { Image } from '@silo/protos/image.ts';
import { ruleText } from './rule-text.ts';
import { compileTexts } from './text-fields.ts';
import { compileTimes } from './time-fields.ts';

/** A decoded request, or the violations of its shape. */
export type Shaped =
  | { request: unknown; violations?: undefined }
  | { request?: undefined; violations: FieldViolation[] };

/**
 * Decodes a request of one method, normalizes its texts to the stored form, and validates its
 * shape. Never throws, whatever the bytes.
 */
export type ReadShape = (bytes: Buffer) => Shaped;

type Codec = { decode(bytes: Buffer): unknown; encodeRequest(request: unknown): Buffer };

const ruleOptions = ['field', 'message', 'oneof'].map((name) => `buf.validate.${name}`);

const validators = new WeakMap<Image, Validator>();

/**
 * The validator of this image's rules: one per process, because it compiles rules that methods
 * share.
 */
export function shapeValidator(image: Image): Validator {
  const known = validators.get(image);
  if (known !== undefined) return known;
  const validator = createValidator({ registry: image.types });
  validators.set(image, validator);
  return validator;
}

/**
 * Makes the check of one method's requests. The validator compiles the rules at the first request,
 * which most methods of most processes never get; `npm run generate` proves that they compile.
 */
export function compileShape(
  image: Image,
  validator: Validator,
  input: DescMessage,
  codec: Codec,
): ReadShape {
  const hasRules = reaches(input, (message) => carriesRules(image, message));
  const readTexts = compileTexts(image, input);
  const readTimes = compileTimes(input);
  // A timestamp outside the range of Date decodes, but cannot be used or encoded again.
  const hasTimes = reaches(input, ({ typeName }) => timeTypes.has(typeName));
  const undecodable: Shaped = {
    violations: [{ field: '', description: `the bytes do not decode as ${input.typeName}` }],
  };
  return (bytes) => {
    try {
      const request = codec.decode(bytes);
      if (hasTimes) codec.encodeRequest(request);
      const violations = [...(readTimes?.(request) ?? []), ...(readTexts?.(request) ?? [])];
      if (!hasRules) return violations.length === 0 ? { request } : { violations };
      let message = fromBinary(input, bytes);
      // The rules check texts in their stored form.
      if (readTexts !== undefined) message = fromBinary(input, codec.encodeRequest(request));
      violations.push(...violationsOf(validator, input, message));
      return violations.length === 0 ? { request } : { violations };
    } catch {
      return undecodable;
    }
  };
}

/** Limit for one answer: more violations do not help anybody. */
const violationsMax = 100;

const timeTypes = new Set(['google.protobuf.Timestamp', 'google.protobuf.Duration']);

function violationsOf(
  validator: Validator,
  input: DescMessage,
  message: Message,
): FieldViolation[] {
  const result = validator.validate(input, message);
  switch (result.kind) {
    case 'valid':
      return [];
    case 'invalid':
      return firstDistinct(
        result.violations.map((broken) => ({
          field: pathToString(broken.field),
          description: ruleText(broken),
        })),
      );
    case 'error':
      // `npm run generate` proves that the rules compile, so they cannot be applied to this input.
      return [{ field: '', description: 'a rule of this message cannot be applied to it' }];
  }
}

/**
 * Removes duplicates: if a list is too long, each of its items is still checked, up to one for each
 * byte of a request.
 */
function firstDistinct(violations: readonly FieldViolation[]): FieldViolation[] {
  const found = new Map<string, FieldViolation>();
  for (const violation of violations) {
    found.set(`${violation.field}\n${violation.description}`, violation);
    if (found.size === violationsMax) break;
  }
  return [...found.values()];
}

function carriesRules({ types }: Image, message: DescMessage): boolean {
  const extensions = ruleOptions.flatMap((name) => types.getExtension(name) ?? []);
  const elements: AnyDesc[] = [message, ...message.fields, ...message.oneofs];
  return extensions.some((extension) =>
    elements.some(
      (element) =>
        'proto' in element &&
        element.proto.options?.$unknown?.some(({ no }) => no === extension.number),
    ),
  );
}

/** Whether the message, or one that it can contain at any depth, is a Timestamp. */
function reaches(
  message: DescMessage,
  isSuch: (message: DescMessage) => boolean,
  seen = new Set<DescMessage>(),
): boolean {
  if (seen.has(message)) return false;
  seen.add(message);
  if (isSuch(message)) return true;
  return message.fields.some(
    (field) => field.message !== undefined && reaches(field.message, isSuch, seen),
  );
}
