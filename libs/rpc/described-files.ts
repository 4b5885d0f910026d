import {
  clone,
  type DescEnum,
  type DescFile,
  type DescMessage,
  type DescService,
  toBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Image } from '@silo/protos/image.ts';

/** The proto files that one port describes, with look-ups by name, symbol and extension. */
export type DescribedFiles = {
  byName(fileName: string): DescFile | undefined;
  bySymbol(fullName: string): DescFile | undefined;
  byExtension(typeName: string, number: number): DescFile | undefined;
  /** Undefined for a type that is not described. */
  extensionNumbers(typeName: string): number[] | undefined;
};

// No served method refers to these, but clients need them to print errors.
const alwaysDescribed = ['google/rpc/error_details.proto', 'silo/common/v1/error_reason.proto'];

/** The files of these services with their imports, and nothing else from the image. */
export function describeFiles(image: Image, serviceNames: readonly string[]): DescribedFiles {
  const byName = new Map<string, DescFile>();
  const add = (file: DescFile) => {
    if (byName.has(file.proto.name)) return;
    byName.set(file.proto.name, file);
    for (const dependency of file.dependencies) add(dependency);
  };
  for (const name of serviceNames) {
    const service = image.types.getService(name);
    if (service === undefined) throw new TypeError(`the image does not describe ${name}`);
    add(service.file);
  }
  for (const file of image.types.files) {
    if (alwaysDescribed.includes(file.proto.name)) add(file);
  }
  const bySymbol = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescFile>>();
  for (const file of byName.values()) {
    for (const symbol of symbolsOf(file)) bySymbol.set(symbol, file);
    for (const { extendee, number } of extensionsOf(file)) {
      const ofType = extensions.get(extendee.typeName) ?? new Map<number, DescFile>();
      extensions.set(extendee.typeName, ofType.set(number, file));
    }
  }
  return {
    byName: (fileName) => byName.get(fileName),
    bySymbol: (fullName) => bySymbol.get(fullName),
    byExtension: (typeName, number) => extensions.get(typeName)?.get(number),
    extensionNumbers: (typeName) => {
      const numbers = extensions.get(typeName)?.keys();
      if (numbers !== undefined) return [...numbers].sort((a, b) => a - b);
      return bySymbol.has(typeName) ? [] : undefined;
    },
  };
}

const encoded = new WeakMap<DescFile, Buffer>();

/** A file's FileDescriptorProto with comments and options, as reflection sends it. */
export function encodeFile(file: DescFile): Buffer {
  const known = encoded.get(file);
  if (known !== undefined) return known;
  // buf adds its own options to the file, which other tools do not know.
  const plain = clone(FileDescriptorProtoSchema, file.proto);
  delete plain.$unknown;
  const bytes = Buffer.from(toBinary(FileDescriptorProtoSchema, plain));
  encoded.set(file, bytes);
  return bytes;
}

function* symbolsOf(file: DescFile): Generator<string> {
  for (const message of file.messages) yield* symbolsOfMessage(message);
  for (const value of file.enums) yield* symbolsOfEnum(value);
  for (const extension of file.extensions) yield extension.typeName;
  for (const service of file.services) yield* symbolsOfService(service);
}

function* symbolsOfMessage(message: DescMessage): Generator<string> {
  yield message.typeName;
  for (const field of message.fields) yield `${message.typeName}.${field.name}`;
  for (const oneof of message.oneofs) yield `${message.typeName}.${oneof.name}`;
  for (const nested of message.nestedMessages) yield* symbolsOfMessage(nested);
  for (const nested of message.nestedEnums) yield* symbolsOfEnum(nested);
  for (const extension of message.nestedExtensions) yield extension.typeName;
}

function* symbolsOfEnum(described: DescEnum): Generator<string> {
  yield described.typeName;
  // Values are siblings of their enum, not its children.
  const scope = described.typeName.slice(0, -described.name.length);
  for (const value of described.values) yield scope + value.name;
}

function* symbolsOfService(service: DescService): Generator<string> {
  yield service.typeName;
  for (const method of service.methods) yield `${service.typeName}.${method.name}`;
}

function extensionsOf(file: DescFile) {
  const nested = (message: DescMessage): DescMessage['nestedExtensions'] => [
    ...message.nestedExtensions,
    ...message.nestedMessages.flatMap(nested),
  ];
  return [...file.extensions, ...file.messages.flatMap(nested)];
}
