import type { DescField, DescMessage } from '@bufbuild/protobuf';

/** Reads a text field of a request; '' if it or a message around it is not set. */
export type ReadText = (request: unknown) => string;

/**
 * Compiles a dotted path of proto names, such as `organization.id`, into a reader of ts-proto
 * messages. Throws if the path does not lead to a string, so that a rule cannot miss its field.
 */
export function compileFieldPath(input: DescMessage, path: string): ReadText {
  const steps: ((value: unknown) => unknown)[] = [];
  let message: DescMessage | undefined = input;
  let last: DescField | undefined;
  for (const name of path.split('.')) {
    last = message?.fields.find((field) => field.name === name);
    if (last === undefined) throw new TypeError(`${input.typeName} has no field ${path}`);
    steps.push(stepInto(last));
    message = last.fieldKind === 'message' ? last.message : undefined;
  }
  if (last?.fieldKind !== 'scalar')
    throw new TypeError(`${input.typeName}.${path} is not a string`);
  return (request) => {
    let value = request;
    for (const step of steps) value = step(value);
    return typeof value === 'string' ? value : '';
  };
}

function stepInto({ localName, oneof }: DescField): (value: unknown) => unknown {
  if (oneof === undefined) return (value) => property(value, localName);
  return (value) => {
    const chosen = property(value, oneof.localName);
    return property(chosen, '$case') === localName ? property(chosen, 'value') : undefined;
  };
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
